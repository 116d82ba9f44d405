import CLMDB

/// A named database inside an environment.
public struct Database: Sendable {
    let identifier: MDB_dbi
}

/// An open transaction, meaningful only while the closure it was handed to runs.
public struct TransactionHandle {
    let pointer: OpaquePointer
}

/// What both kinds of transaction can do: look keys up and walk over them.
public protocol Readable: ~Copyable {
    var handle: TransactionHandle { get }
}

/// A consistent snapshot.
public struct ReadTransaction: Readable, ~Copyable {
    public let handle: TransactionHandle
}

/// The one write transaction.
public struct WriteTransaction: Readable, ~Copyable {
    public let handle: TransactionHandle
}

extension Readable where Self: ~Copyable {
    /// The value of `key`, copied.
    public func get(_ database: Database, _ key: [UInt8]) throws(LMDBError) -> [UInt8]? {
        try withValue(database, key) { [UInt8]($0) }
    }

    /// Calls `body` with the value of `key` where it lies in the map; nil where there is none.
    public func withValue<Result>(
        _ database: Database,
        _ key: [UInt8],
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(LMDBError) -> Result? {
        var value = MDB_val()
        let code = key.withUnsafeBytes { bytes in
            var lookup = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return mdb_get(handle.pointer, database.identifier, &lookup, &value)
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "looking a key up")
        return body(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }

    /// Calls `body` with the value under the eight big-endian bytes of a number.
    public func withValue<Result>(
        _ database: Database,
        number: UInt64,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(LMDBError) -> Result? {
        var value = MDB_val()
        var bigEndian = number.bigEndian
        let code = withUnsafeMutableBytes(of: &bigEndian) { bytes in
            var lookup = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            return mdb_get(handle.pointer, database.identifier, &lookup, &value)
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "looking a number up")
        return body(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }

    /// How many keys the database holds.
    public func count(_ database: Database) throws(LMDBError) -> Int {
        var stat = MDB_stat()
        try check(mdb_stat(handle.pointer, database.identifier, &stat), "counting")
        return stat.ms_entries
    }

    /// Calls `body` with a cursor over the database.
    public func cursor<Result>(
        _ database: Database,
        _ body: (borrowing Cursor) throws -> Result
    ) throws -> Result {
        var opened: OpaquePointer?
        try check(mdb_cursor_open(handle.pointer, database.identifier, &opened), "opening a cursor")
        guard let opened else { throw LMDBError(code: MDB_PANIC, operation: "opening a cursor") }
        defer { mdb_cursor_close(opened) }
        return try body(Cursor(pointer: opened))
    }
}

extension WriteTransaction {
    /// Stores a value under a key that must be greater than every key there is; anything else is refused, which makes
    /// every append a check of the database's order.
    public func append(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try put(database, key, value, UInt32(MDB_APPEND), "appending a key")
    }

    /// Appends under the eight big-endian bytes of a number.
    public func append(_ database: Database, number: UInt64, _ value: [UInt8]) throws(LMDBError) {
        var bigEndian = number.bigEndian
        let code = withUnsafeMutableBytes(of: &bigEndian) { key in
            put(database, UnsafeRawBufferPointer(key), value, UInt32(MDB_APPEND))
        }
        try check(code, "appending a number")
    }

    /// Stores a value under a key that must not exist.
    public func insert(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try put(database, key, value, UInt32(MDB_NOOVERWRITE), "inserting a key")
    }

    /// Stores a value under a key, replacing what was there.
    public func set(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try put(database, key, value, 0, "setting a key")
    }

    /// Removes every key of the database.
    public func clear(_ database: Database) throws(LMDBError) {
        try check(mdb_drop(handle.pointer, database.identifier, 0), "clearing a database")
    }

    private func put(
        _ database: Database,
        _ key: [UInt8],
        _ value: [UInt8],
        _ flags: UInt32,
        _ operation: String
    ) throws(LMDBError) {
        let code = key.withUnsafeBytes { put(database, $0, value, flags) }
        try check(code, operation)
    }

    private func put(_ database: Database, _ key: UnsafeRawBufferPointer, _ value: [UInt8], _ flags: UInt32) -> Int32 {
        value.withUnsafeBytes { valueBytes in
            var key = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
            var value = MDB_val(
                mv_size: valueBytes.count,
                mv_data: UnsafeMutableRawPointer(mutating: valueBytes.baseAddress)
            )
            return mdb_put(handle.pointer, database.identifier, &key, &value, flags)
        }
    }
}

/// A position in a database; keys and values it gives are copies.
public struct Cursor: ~Copyable {
    let pointer: OpaquePointer

    public typealias Item = (key: [UInt8], value: [UInt8])

    public func first() throws(LMDBError) -> Item? { try move(MDB_FIRST) }
    public func last() throws(LMDBError) -> Item? { try move(MDB_LAST) }
    public func next() throws(LMDBError) -> Item? { try move(MDB_NEXT) }
    public func previous() throws(LMDBError) -> Item? { try move(MDB_PREV) }

    /// Goes to the first key that is not less than `key`.
    public func seek(_ key: [UInt8]) throws(LMDBError) -> Item? { try move(MDB_SET_RANGE, key) }

    /// Goes to the last key that is not greater than `key`.
    public func seekBackward(_ key: [UInt8]) throws(LMDBError) -> Item? {
        guard let found = try seek(key) else { return try last() }
        return found.key == key ? found : try previous()
    }

    private func move(_ operation: MDB_cursor_op, _ target: [UInt8] = []) throws(LMDBError) -> Item? {
        var item: Item?
        let code = target.withUnsafeBytes { bytes in
            var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            var value = MDB_val()
            let code = mdb_cursor_get(pointer, &key, &value, operation)
            if code == MDB_SUCCESS {
                item = (
                    [UInt8](UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)),
                    [UInt8](UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
                )
            }
            return code
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "moving a cursor")
        return item
    }
}
