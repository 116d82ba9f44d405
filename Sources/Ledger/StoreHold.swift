import Files
import Glibc

/// Holds a store for the one process that may write it, whichever lock it goes by: an exclusive flock on the store's
/// data file, from before it is opened until the end.
final class StoreHold {
    /// The data file.
    let file: OpenFile

    /// - Parameter directory: of the store.
    /// - Throws: `StartupRefusal` `.noLedger` where it has no data file, `.inUse` where another process holds it.
    init(directory: String) throws {
        let path = directory + "/data.mdb"
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT || errno == ENOTDIR {
            throw StartupRefusal(
                .noLedger,
                "there is no ledger at \(directory)",
                advice: "Create one with 'evidence init', or put the store back; a ledger is never created by itself"
            )
        }
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        do {
            try FileSystem.hold(descriptor, path, "the store")
            file = try OpenFile(descriptor, path: path)
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(file.descriptor) }
}

extension FileSystem {
    /// Takes the exclusive flock of a file, for as long as the descriptor is open.
    ///
    /// - Parameter what: what the file is, for people.
    /// - Throws: `StartupRefusal` `.inUse` where another process has it.
    static func hold(_ descriptor: Int32, _ path: String, _ what: String) throws {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno != EINTR else { continue }
            guard errno == EWOULDBLOCK else { throw SystemError("locking \(path)") }
            throw StartupRefusal(
                .inUse,
                "\(what) \(path) is held by another process",
                advice: "Only one daemon may run on a ledger. Stop the other one first"
            )
        }
    }
}
