import CLMDB
import Glibc

/// A refused LMDB call. Its description says what happened and what to do, for people.
public struct LMDBError: Error, Equatable, Sendable, CustomStringConvertible {
    /// LMDB's own code (negative) or an errno (positive).
    public let code: Int32
    /// What was being done.
    public let operation: String
    /// Whether the system could not read the file: what it holds there isn't known, and nothing was written.
    public let isFailedRead: Bool

    /// - Parameters:
    ///   - code: LMDB's own (negative) or an errno (positive).
    ///   - operation: what was being done, in a few words.
    public init(code: Int32, operation: String, isFailedRead: Bool = false) {
        self.code = code
        self.operation = operation
        self.isFailedRead = isFailedRead
    }

    /// The map is too small for the transaction; nothing was written, and the map may be grown.
    public var isMapFull: Bool { code == MDB_MAP_FULL }
    /// The file system has no room: the disk, a quota or the largest size of a file.
    public var isOutOfRoom: Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }
    /// The key exists, or an appended key is not greater than the last.
    public var isKeyExists: Bool { code == MDB_KEYEXIST }
    /// Every place for a reader is taken.
    public var isReadersFull: Bool { code == MDB_READERS_FULL }
    /// The file is not what LMDB has written, so trying again is of no use. That a write of this process has failed says
    /// nothing of the kind.
    public var isDamage: Bool {
        [
            MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_VERSION_MISMATCH, MDB_NOTFOUND, MDB_INCOMPATIBLE,
            MDB_CURSOR_FULL, MDB_PAGE_FULL, MDB_BAD_TXN, MDB_BAD_DBI, MDB_BAD_VALSIZE,
        ].contains(code)
    }
    /// The system refused for want of rights.
    public var isDenied: Bool { [EACCES, EPERM, EROFS].contains(code) }

    public var description: String { "\(operation): \(LMDBError.words(code))" }

    /// What a code means here, and what can be done; the system's own words for errors of the system.
    private static func words(_ code: Int32) -> String {
        switch code {
        case MDB_KEYEXIST: "a row with this key, or a greater one, is there already: the store is damaged"
        case MDB_NOTFOUND: "the database is not in the file: it is of another kind, or damaged"
        case MDB_PAGE_NOTFOUND: "a page that others lead to is not in the file: it is damaged"
        case MDB_CORRUPTED: "a page is of another kind than those that lead to it say: the file is damaged"
        case MDB_PANIC: "an earlier write has failed, so nothing more is written"
        case MDB_VERSION_MISMATCH: "the file, or the library liblmdb, is of another version"
        case MDB_INVALID: "it is no LMDB data file, or its first pages are damaged"
        case MDB_MAP_FULL: "the map has no room: raise its limit"
        case MDB_DBS_FULL: "the file has more databases than it should"
        case MDB_READERS_FULL:
            "every place for a reader is taken: end programs that read the store, or raise 'readers'"
        case MDB_TLS_FULL: "the process has no room for another reader"
        case MDB_TXN_FULL: "the transaction has more pages than it can"
        case MDB_CURSOR_FULL, MDB_PAGE_FULL: "a page holds more than it can: the file is damaged"
        case MDB_MAP_RESIZED: "another process has made the file larger"
        case MDB_INCOMPATIBLE: "a database is of another kind than it should be: the file is damaged"
        case MDB_BAD_RSLOT: "a reader's place was given to another"
        case MDB_BAD_TXN: "another process has written to the file meanwhile, or a page is damaged"
        case MDB_BAD_VALSIZE: "a key or value is longer than it can be"
        case MDB_BAD_DBI: "a database was closed meanwhile"
        default: String(cString: mdb_strerror(code))
        }
    }
}

func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code, operation: operation()) }
}
