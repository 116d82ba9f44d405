import CLMDB

/// A named database inside an environment.
public struct Database: Sendable {
    let identifier: MDB_dbi

    /// The one the named databases stand in.
    static let unnamed = Database(identifier: 1)
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
    let mark: WriteMark
}

/// Whether a transaction has written anything.
final class WriteMark {
    var isDirty = false
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

    /// Calls `body` with a cursor for look-ups of numbers that lie near one another.
    public func numbers<Result>(
        in database: Database,
        _ body: (borrowing NumberCursor) throws -> Result
    ) throws -> Result {
        let opened = try openCursor(database)
        defer { mdb_cursor_close(opened) }
        return try body(NumberCursor(pointer: opened))
    }

    /// Calls `body` with the values under `count` numbers that follow one another, where they lie in the map. Much
    /// cheaper than a look-up for each.
    ///
    /// - Parameter body: takes the number and its value, nil where it has none.
    public func forEach(
        _ database: Database,
        from first: UInt64,
        count: Int,
        _ body: (UInt64, UnsafeRawBufferPointer?) throws -> Void
    ) throws {
        let opened = try openCursor(database)
        defer { mdb_cursor_close(opened) }
        var operation = MDB_SET_RANGE
        var key = MDB_val()
        var value = MDB_val()
        var bigEndian = first.bigEndian
        for number in first..<first + UInt64(count) {
            let code = withUnsafeMutableBytes(of: &bigEndian) { wanted in
                if operation == MDB_SET_RANGE { key = MDB_val(mv_size: 8, mv_data: wanted.baseAddress) }
                return mdb_cursor_get(opened, &key, &value, operation)
            }
            if code != MDB_NOTFOUND { try check(code, "walking over numbers") }
            let isThere =
                code == MDB_SUCCESS && key.mv_size == 8
                && key.mv_data.loadUnaligned(as: UInt64.self).bigEndian == number
            try body(number, isThere ? UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size) : nil)
            // Behind a gap the cursor stands on a later number, so the next one is looked for anew.
            operation = isThere ? MDB_NEXT : MDB_SET_RANGE
            if !isThere { bigEndian = (number + 1).bigEndian }
        }
    }

    /// Calls `body` with every key and value in the order of the keys, where they lie in the map.
    public func forEach(
        _ database: Database,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let opened = try openCursor(database)
        defer { mdb_cursor_close(opened) }
        var key = MDB_val()
        var value = MDB_val()
        while case let code = mdb_cursor_get(opened, &key, &value, MDB_NEXT), code != MDB_NOTFOUND {
            try check(code, "walking over a database")
            try body(
                UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
                UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            )
        }
    }

    /// How many keys the database holds.
    public func count(_ database: Database) throws(LMDBError) -> Int {
        var stat = MDB_stat()
        try check(mdb_stat(handle.pointer, database.identifier, &stat), "counting")
        return stat.ms_entries
    }

    /// How deep the database's tree is, and how many pages of it hold keys: leaves, and the branches above them.
    public func shape(_ database: Database) throws(LMDBError) -> (depth: Int, branches: Int, leaves: Int) {
        var stat = MDB_stat()
        try check(mdb_stat(handle.pointer, database.identifier, &stat), "measuring")
        return (Int(stat.ms_depth), stat.ms_branch_pages, stat.ms_leaf_pages)
    }

    /// Calls `body` with a cursor over the database.
    public func cursor<Result>(
        _ database: Database,
        _ body: (borrowing Cursor) throws -> Result
    ) throws -> Result {
        let opened = try openCursor(database)
        defer { mdb_cursor_close(opened) }
        return try body(Cursor(pointer: opened))
    }

    /// A cursor, which the caller closes.
    private func openCursor(_ database: Database) throws(LMDBError) -> OpaquePointer {
        var opened: OpaquePointer?
        try check(mdb_cursor_open(handle.pointer, database.identifier, &opened), "opening a cursor")
        guard let opened else { throw LMDBError(code: MDB_PANIC, operation: "opening a cursor") }
        return opened
    }
}

extension WriteTransaction {
    /// Stores a value under a key that must be greater than every key there is; anything else is refused, which makes
    /// every append a check of the database's order.
    public func append(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try check(put(database, key.span, value.span, MDB_APPEND), "appending a key")
    }

    /// The same, with a value that lies in something larger.
    public func append(_ database: Database, _ key: Span<UInt8>, _ value: Span<UInt8>) throws(LMDBError) {
        try check(put(database, key, value, MDB_APPEND), "appending a key")
    }

    /// Appends under the eight big-endian bytes of a number.
    public func append(_ database: Database, number: UInt64, _ value: Span<UInt8>) throws(LMDBError) {
        var bigEndian = number.bigEndian
        let code = withUnsafeMutableBytes(of: &bigEndian) { key in
            value.withUnsafeBytes { put(database, UnsafeRawBufferPointer(key), $0, MDB_APPEND) }
        }
        try check(code, "appending a number")
    }

    /// Stores a value under a key that must not exist.
    public func insert(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try check(put(database, key.span, value.span, MDB_NOOVERWRITE), "inserting a key")
    }

    /// Stores rows under keys that must not exist, given in ascending order. Those behind all keys there are fill their
    /// pages to the end, where LMDB would leave half of each empty.
    ///
    /// - Parameter row: puts the key of the row at a position into the first array and its value into the second.
    public func insert(
        _ database: Database,
        ascending count: Int,
        _ row: (Int, inout [UInt8], inout [UInt8]) -> Void
    ) throws {
        let last = try cursor(database) { try $0.last() }?.key
        var isBehindAll = last == nil
        var key: [UInt8] = []
        var value: [UInt8] = []
        for position in 0..<count {
            row(position, &key, &value)
            if !isBehindAll, let last { isBehindAll = last.lexicographicallyPrecedes(key) }
            let flags = isBehindAll ? MDB_APPEND : MDB_NOOVERWRITE
            try check(put(database, key.span, value.span, flags), "inserting a key")
        }
    }

    /// Stores a value under a key, replacing what was there.
    public func set(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try check(put(database, key.span, value.span, 0), "setting a key")
    }

    /// Removes every key of the database.
    public func clear(_ database: Database) throws(LMDBError) {
        mark.isDirty = true
        try check(mdb_drop(handle.pointer, database.identifier, 0), "clearing a database")
    }

    private func put(_ database: Database, _ key: Span<UInt8>, _ value: Span<UInt8>, _ flags: Int32) -> Int32 {
        key.withUnsafeBytes { key in value.withUnsafeBytes { put(database, key, $0, flags) } }
    }

    private func put(
        _ database: Database,
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        _ flags: Int32
    ) -> Int32 {
        mark.isDirty = true
        var key = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var value = MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        return mdb_put(handle.pointer, database.identifier, &key, &value, UInt32(flags))
    }
}

/// Look-ups under the eight big-endian bytes of numbers; cheaper than others where a number is near the one before.
public struct NumberCursor: ~Copyable {
    let pointer: OpaquePointer

    /// Calls `body` with the value of a number where it lies in the map; nil where there is none.
    public func withValue<Result>(
        _ number: UInt64,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(LMDBError) -> Result? {
        var value = MDB_val()
        var bigEndian = number.bigEndian
        let code = withUnsafeMutableBytes(of: &bigEndian) { bytes in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            return mdb_cursor_get(pointer, &key, &value, MDB_SET_KEY)
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "looking a number up")
        return body(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
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

    /// Calls `body` with the last row whose key is not greater than `key`, and with the row behind that, nil where there is
    /// none, where they lie in the map.
    public func withNeighbours<Result>(
        of key: [UInt8],
        _ body: (_ floor: RawRow?, _ next: RawRow?) throws -> Result
    ) throws -> Result {
        let found = try raw(MDB_SET_RANGE, key)
        if let found, found.key.elementsEqual(key) { return try body(found, try raw(MDB_NEXT)) }
        return try body(try raw(found == nil ? MDB_LAST : MDB_PREV), found)
    }

    /// Goes to the last key that is not greater than `key`.
    public func seekBackward(_ key: [UInt8]) throws(LMDBError) -> Item? {
        guard let found = try seek(key) else { return try last() }
        return found.key == key ? found : try previous()
    }

    private func move(_ operation: MDB_cursor_op, _ target: [UInt8] = []) throws(LMDBError) -> Item? {
        try raw(operation, target).map { ([UInt8]($0.key), [UInt8]($0.value)) }
    }

    private func raw(_ operation: MDB_cursor_op, _ target: [UInt8] = []) throws(LMDBError) -> RawRow? {
        var row: RawRow?
        let code = target.withUnsafeBytes { bytes in
            var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            var value = MDB_val()
            let code = mdb_cursor_get(pointer, &key, &value, operation)
            if code == MDB_SUCCESS {
                row = RawRow(
                    key: UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
                    value: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
                )
            }
            return code
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "moving a cursor")
        return row
    }
}

/// A row where it lies in the map: as it is until the transaction writes or ends.
public struct RawRow {
    /// Its bytes, by which rows are in order.
    public let key: UnsafeRawBufferPointer
    /// The bytes stored under the key.
    public let value: UnsafeRawBufferPointer
}
