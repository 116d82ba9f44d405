import LMDB

/// A database in which a row that is not there means something, such as that a stream is new. Each row ends in a link, a
/// hash of its key and the key of the row behind it (`ledger-format.md` section 9, "Linked rows"). So a row shows which
/// keys are *not* there, and one whose key changed, or that is gone, shows beside its place. That its content is what was
/// written, whoever uses it checks by what it names.
///
/// The row before a new one gets another link. It lies in the same page as a rule, so a commit writes no more pages.
struct LinkedRows: Sendable {
    let database: Database
    /// What the database is called.
    let name: String
    /// Bytes of each key.
    let keyBytes: Int
    /// Bytes of a link, at the end of each value.
    static let linkBytes = 8

    /// The key of the first row, which is no key of anything: all others stand behind it.
    private var head: [UInt8] { [UInt8](repeating: 0, count: keyBytes) }
    /// What the last row names as the key behind it.
    private var end: [UInt8] { [UInt8](repeating: 0xFF, count: keyBytes) }

    /// What is wrong where a link does not hold.
    var damage: StoreDamage {
        StoreDamage(nil, "a row of '\(name)' is missing, or its key is not as it was written")
    }

    // MARK: Looking up

    /// Calls `body` with the row of a key or, where there is none, with the last one before it, once that is known to be
    /// where it was written and to have nothing between it and the row behind the key.
    ///
    /// - Parameter body: takes the row's key and its content.
    /// - Throws: `StoreDamage` where that is not known; what `body` throws.
    func withFloor<Result>(
        _ transaction: borrowing some Readable & ~Copyable,
        _ key: [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try transaction.cursor(database) { cursor in
            try cursor.withNeighbours(of: key) { floor, next in
                let floor = try verified(floor, next, around: key)
                return try body(floor.key, LinkedRows.content(floor.value))
            }
        }
    }

    /// Calls `body` with the content of the row of a key; nil where there is none, which is proven.
    ///
    /// - Throws: as `withFloor`.
    func withContent<Result>(
        _ transaction: borrowing some Readable & ~Copyable,
        _ key: [UInt8],
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        try withFloor(transaction, key) { found, content in
            found.elementsEqual(key) ? try body(content) : nil
        }
    }

    /// What a look-up finds, whatever the links say: for an audit, which goes through all of them.
    func stored(_ transaction: borrowing some Readable & ~Copyable, _ key: [UInt8]) throws -> [UInt8]? {
        try transaction.withValue(database, key) { [UInt8](LinkedRows.content($0)) }
    }

    /// How many rows there are, the first apart.
    func count(_ transaction: borrowing some Readable & ~Copyable) throws -> Int {
        try transaction.count(database) - 1
    }

    /// The content of a row's value.
    private static func content(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: value.dropLast(linkBytes))
    }

    /// The row before a key's place, which must name the row behind it.
    private func verified(_ floor: RawRow?, _ next: RawRow?, around key: [UInt8]) throws(StoreDamage) -> RawRow {
        // A damaged key may have led elsewhere.
        guard let floor, floor.key.count == keyBytes, !key.lexicographicallyPrecedes(floor.key),
            next.map({ $0.key.count == keyBytes && key.lexicographicallyPrecedes($0.key) }) ?? true
        else { throw damage }
        var hash = FNV1a()
        hash.add(floor.key)
        if let next { hash.add(next.key) } else { for byte in end { hash.add(byte) } }
        guard LinkedRows.link(of: floor.value) == hash.value else { throw damage }
        return floor
    }

    /// The link a row's value ends in; nil where it has none.
    private static func link(of value: UnsafeRawBufferPointer) -> UInt64? {
        guard value.count >= linkBytes else { return nil }
        return UInt64(bigEndian: value.loadUnaligned(fromByteOffset: value.count - linkBytes, as: UInt64.self))
    }

    /// Goes through all rows but the first, in the order of their keys.
    ///
    /// - Parameter body: takes a row's key and its content.
    /// - Returns: whether each row has the key it was written with and names the one behind it.
    func forEach(
        _ transaction: borrowing some Readable & ~Copyable,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        var areLinked = true
        var isFirst = true
        /// The hash of the row before, but for the key behind it, and the link it must come to.
        var before: (hash: FNV1a, link: UInt64?) = (FNV1a(), nil)
        try transaction.forEach(database) { key, value in
            if isFirst {
                areLinked = key.elementsEqual(head)
            } else {
                before.hash.add(key)
                areLinked = areLinked && key.count == keyBytes && before.link == before.hash.value
            }
            before = (FNV1a(), LinkedRows.link(of: value))
            before.hash.add(key)
            if !isFirst || !areLinked { try body(key, LinkedRows.content(value)) }
            isFirst = false
        }
        for byte in end { before.hash.add(byte) }
        return areLinked && before.link == before.hash.value
    }

    // MARK: Writing

    /// Makes the first row of an empty database.
    func begin(_ transaction: borrowing WriteTransaction) throws {
        try transaction.insert(database, head, value([], of: head, before: end))
    }

    /// Stores rows under keys that must not exist, given in ascending order.
    ///
    /// - Parameter row: puts the key of the row at a position into the first array and its content into the second.
    /// - Throws: `StoreDamage` where a row is there, or it isn't known what is there; the transaction must be given up.
    func insert(
        _ transaction: borrowing WriteTransaction,
        ascending count: Int,
        _ row: (Int, inout [UInt8], inout [UInt8]) -> Void
    ) throws {
        var (key, content): ([UInt8], [UInt8]) = ([], [])
        var (followingKey, followingContent): ([UInt8], [UInt8]) = ([], [])
        var position = 0
        if count > 0 { row(0, &key, &content) }
        while position < count {
            let (before, next) = try neighbours(transaction, of: key)
            guard before.key != key else { throw StoreDamage(nil, "'\(name)' has a row where none is expected") }
            try transaction.set(database, before.key, value(before.content, of: before.key, before: key))
            var goesOn = true
            while goesOn {
                position += 1
                goesOn = position < count
                if goesOn {
                    row(position, &followingKey, &followingContent)
                    // All up to the next row there is follow one another without it.
                    goesOn = next.map { followingKey.lexicographicallyPrecedes($0) } ?? true
                }
                let linked = value(content, of: key, before: goesOn ? followingKey : next ?? end)
                // Behind all others they fill their pages, where LMDB would leave half of each empty.
                if next == nil {
                    try transaction.append(database, key, linked)
                } else {
                    try transaction.insert(database, key, linked)
                }
                swap(&key, &followingKey)
                swap(&content, &followingContent)
            }
        }
    }

    /// Gives a row that there is another content.
    ///
    /// - Throws: `StoreDamage` where there is none, or it isn't known what is there; the transaction must be given up.
    func replace(_ transaction: borrowing WriteTransaction, _ key: [UInt8], _ content: [UInt8]) throws {
        let (row, next) = try neighbours(transaction, of: key)
        guard row.key == key else { throw StoreDamage(nil, "'\(name)' has no row where one is expected") }
        try transaction.set(database, key, value(content, of: key, before: next ?? end))
    }

    /// Copies of the row before a key's place, or at it, and of the key behind it.
    private func neighbours(
        _ transaction: borrowing WriteTransaction,
        of key: [UInt8]
    ) throws -> (before: (key: [UInt8], content: [UInt8]), next: [UInt8]?) {
        try transaction.cursor(database) { cursor in
            try cursor.withNeighbours(of: key) { floor, next in
                let floor = try verified(floor, next, around: key)
                return (([UInt8](floor.key), [UInt8](LinkedRows.content(floor.value))), next.map { [UInt8]($0.key) })
            }
        }
    }

    /// A row's value: its content and its link.
    private func value(_ content: [UInt8], of key: [UInt8], before next: [UInt8]) -> [UInt8] {
        var hash = FNV1a()
        key.withUnsafeBytes { hash.add($0) }
        next.withUnsafeBytes { hash.add($0) }
        var value: [UInt8] = []
        value.reserveCapacity(content.count + LinkedRows.linkBytes)
        value.append(contentsOf: content)
        withUnsafeBytes(of: hash.value.bigEndian) { value.append(contentsOf: $0) }
        return value
    }
}
