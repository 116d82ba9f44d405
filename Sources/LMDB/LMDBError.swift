import CLMDB

/// A refused LMDB call.
public struct LMDBError: Error, Equatable, Sendable, CustomStringConvertible {
    /// LMDB's own code (negative) or an errno (positive).
    public let code: Int32
    /// What was being done.
    public let operation: String

    public init(code: Int32, operation: String) {
        self.code = code
        self.operation = operation
    }

    /// The map is too small for the transaction; nothing was written, and the map may be grown.
    public var isMapFull: Bool { code == MDB_MAP_FULL }
    /// The key exists, or an appended key is not greater than the last.
    public var isKeyExists: Bool { code == MDB_KEYEXIST }

    /// The file is not what the library wrote: only a file that was damaged, or is none of its own, has this.
    public var isDamage: Bool {
        [
            MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_VERSION_MISMATCH, MDB_NOTFOUND, MDB_INCOMPATIBLE,
            MDB_CURSOR_FULL, MDB_PANIC, MDB_BAD_TXN, MDB_BAD_DBI, MDB_BAD_VALSIZE,
        ].contains(code)
    }

    public var description: String { "\(operation): \(String(cString: mdb_strerror(code)))" }
}

func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code: code, operation: operation()) }
}
