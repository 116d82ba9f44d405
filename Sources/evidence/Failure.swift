import Files
import Glibc
import JSON
import LMDB
import Ledger
import OpenSSL
import Paths
import Varlink
import Zip

/// How the program ends.
enum ExitStatus: Int32 {
    case refused = 1
    case notShown = 2
    case usage = 64
    case dataMismatch = 65
    case inputMissing = 66
    case unreachable = 69
    case system = 71
    case outputRefused = 73
    case outputFailed = 74
    case busy = 75
    case permissionDenied = 77

    /// The table every command's help ends with.
    static let help = """
        EXIT STATUS
          0   done
          1   a check failed, nothing was found, or the ledger refused
          2   all checks hold, but nothing shows whose ledger it is (verify)
          64  wrong usage or malformed input
          65  the ledger's files don't belong together, or one is damaged
          66  an input file is missing or can't be read
          69  the daemon can't be reached
          71  this computer could not do it, such as for want of room or memory, or as a disk gave an error; nothing is
              said of what was to be checked
          73  an output can't be written there: it exists (--force), is an input, or is no file
          74  output was lost: a write failed; what was recorded before stays recorded
          75  the daemon is busy or stopping: try again
          77  permission denied
        """
}

/// Why a command ends: one line for stderr, and the exit status.
struct Failure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// The failure an error of the modules below stands for; nil for errors the argument parser explains itself.
    init?(explaining error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as VarlinkError: self.init(reply: error)
        case let error as VarlinkClientError: self.init(transport: error)
        case let refusal as StartupRefusal: self.init(Failure.status(of: refusal.code), refusal.description)
        case let error as SystemError: self.init(Failure.status(ofErrno: error.errno), error.description)
        case let error as FileError:
            switch error.cause {
            case .system(let code): self.init(Failure.status(ofErrno: code), error.description)
            case .changed: self.init(.refused, error.description)
            }
        case let error as MissingAlgorithm: self.init(.system, error.description)
        case let error as OpenSSLError: self.init(.system, error.description)
        case let error as ZipError: self.init(error.rule == .system ? .outputFailed : .refused, error.description)
        case let error as LMDBError where error.isReadersFull: self.init(.busy, error.description)
        case let error as LMDBError: self.init(Failure.status(ofErrno: error.code), error.description)
        case let error as CommitError: self.init(.refused, error.description)
        case let damage as PageDamage: self.init(.refused, "the store is damaged: \(damage)")
        case let damage as StoreDamage: self.init(.refused, "the store is damaged: \(damage)")
        default: return nil
        }
    }

    /// A failed system call on a path that is read.
    init(path: FilePath, errno code: Int32) {
        self.init(Failure.status(ofErrno: code), "\(path): \(String(cString: strerror(code)))")
    }

    /// A failed system call on a path that is written.
    init(output path: FilePath, errno code: Int32) {
        let status: ExitStatus =
            switch code {
            case EACCES, EPERM: .permissionDenied
            case ENOENT, ENOTDIR, EISDIR, EROFS, ENAMETOOLONG, ELOOP, ENXIO, EEXIST: .outputRefused
            default: .outputFailed
            }
        self.init(status, "\(path): \(String(cString: strerror(code)))")
    }

    private init(reply error: VarlinkError) {
        let parameters = try? JSONReader.parse(error.parameters)
        func text(_ name: String) -> String { parameters?[name]?.string ?? "?" }
        func number(_ name: String) -> String { parameters?[name]?.int.map(String.init) ?? "?" }
        switch error.name.utf8.split(separator: UInt8(ascii: ".")).last.map({ String(Substring($0)) }) {
        case "NotFound": self.init(.refused, "there is no such \(text("what"))")
        case "InvalidEvent":
            self.init(.refused, "event \(number("event")) was refused: \(text("field")) \(text("rule"))")
        case "InvalidArgument": self.init(.refused, "the daemon refused: \(text("field")) \(text("rule"))")
        case "RequestConflict":
            let index = number("index")
            self.init(
                .refused,
                "event \(number("event")) was refused: request was used before, with other content, at index \(index)"
            )
        case "Throttled":
            self.init(
                .busy,
                "event \(number("event")) was refused: its request was sent with other content too often; "
                    + "try again in \(number("seconds")) seconds"
            )
        case "PermissionDenied":
            let type = parameters?["type"]?.string.map { " for \($0)" } ?? ""
            self.init(.permissionDenied, "you have no role that may call \(text("method"))\(type)")
        case "Busy": self.init(.busy, "the daemon is busy and recorded nothing: try again")
        case "Stopping": self.init(.busy, "the daemon is stopping and recorded nothing: try again")
        case "ClockUnconfirmed":
            self.init(.busy, "the daemon takes no time from its clock and recorded nothing: \(text("reason"))")
        case "TooLarge": self.init(.refused, "\(text("what")) is larger than the limit of \(number("limit"))")
        case "StoreFull": self.init(.refused, "the store is full and recorded nothing: \(text("reason"))")
        case "ErasedClaims":
            self.init(.refused, "the claims of entry \(number("index")) were erased and can't be opened any more")
        default: self.init(.refused, "the daemon refused: \(error)")
        }
    }

    private init(transport error: VarlinkClientError) {
        switch error {
        case .unreachable(let path, let code):
            let status: ExitStatus = code == EACCES || code == EPERM ? .permissionDenied : .unreachable
            self.init(status, "no daemon answers at \(path): \(String(cString: strerror(code)))")
        case .closed: self.init(.unreachable, "the daemon closed the connection; what was asked may have been done")
        case .timeout: self.init(.unreachable, "the daemon didn't answer in time; what was asked may have been done")
        case .malformedReply(let reason): self.init(.refused, "the daemon's reply can't be understood: \(reason)")
        }
    }

    private static func status(of refusal: StartupRefusal.Code) -> ExitStatus {
        switch refusal {
        case .keyringMissing: .inputMissing
        case .lockMissing, .lockDamaged, .olderThanLock, .otherRoot, .keyMismatch, .notInForce, .moved, .damaged,
            .badKeyring, .keysMissing, .keysDamaged, .keysOther, .keysOlder, .otherIndex, .samePlace,
            .checkpointMissing, .checkpointInvalid, .olderThanCheckpoint:
            .dataMismatch
        case .noRoom: .system
        case .alreadyExists, .unfinished, .noLedger, .inUse, .badOrigin, .badClock: .refused
        }
    }

    private static func status(ofErrno code: Int32) -> ExitStatus {
        switch code {
        case ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, ENXIO: .inputMissing
        case EACCES, EPERM, EROFS: .permissionDenied
        case 1...: .system
        // LMDB's own codes are no errno, and below 0.
        default: .refused
        }
    }
}
