import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The key tree a store names: nothing of it opens under another, nor with other algorithms.
struct NamedTree {
    /// 32 hex digits.
    let id: String
    let suite: CipherSuite
}

/// What the store says of its key tree, in rows of `meta` (`ledger-format.md` section 10, "Key tree"). Nothing else says it,
/// so each ends in a hash, by which a row shows that was not written so.
extension StoreSchema {
    private static let keyTreeKey = Array("keys".utf8)
    private static let nextSlotKey = Array("slots".utf8)
    private static let pendingErasuresKey = Array("erasing".utf8)
    private static let keyEpochKey = Array("key epoch".utf8)
    private static let label = Array("evidenced/key-row/v1\n".utf8)
    private static let hashBytes = 8

    private static func hash(_ name: [UInt8], _ content: some Collection<UInt8>) -> ArraySlice<UInt8> {
        SHA256Hasher().hash(label + name + [0x0A] + content).bytes.prefix(hashBytes)
    }

    /// The content of a row.
    ///
    /// - Throws: `StoreDamage` where there is none, or it is not as it was written.
    private func keyRow(
        _ name: [UInt8],
        _ transaction: borrowing some Readable & ~Copyable
    ) throws -> ArraySlice<UInt8> {
        guard let row = try transaction.get(meta, name), row.count >= StoreSchema.hashBytes,
            StoreSchema.hash(name, row.dropLast(StoreSchema.hashBytes)) == row.suffix(StoreSchema.hashBytes)
        else {
            let name = String(decoding: name, as: UTF8.self)
            throw StoreDamage(
                nil,
                "what the store says of its keys ('\(name)' in 'meta') is missing, or not as it was written"
            )
        }
        return row.dropLast(StoreSchema.hashBytes)
    }

    private func setKeyRow(
        _ name: [UInt8],
        _ content: [UInt8],
        _ transaction: borrowing WriteTransaction
    ) throws {
        try transaction.set(meta, name, content + StoreSchema.hash(name, content))
    }

    private func keyNumber(_ name: [UInt8], _ transaction: borrowing some Readable & ~Copyable) throws -> UInt64 {
        guard let number = StoreKey.readNumber(try keyRow(name, transaction)) else {
            throw StoreDamage(nil, "a number the store states of its keys is none")
        }
        return number
    }

    /// Bytes of a key tree's id.
    private static let treeBytes = 32

    /// The key tree the claims are sealed under.
    ///
    /// - Throws: `StoreDamage`, as all of these.
    func keyTree(_ transaction: borrowing some Readable & ~Copyable) throws -> NamedTree {
        let row = try keyRow(StoreSchema.keyTreeKey, transaction)
        guard row.dropFirst(StoreSchema.treeBytes).first == 0x20,
            let id = String(validating: row.prefix(StoreSchema.treeBytes), as: UTF8.self),
            let suite = String(validating: row.dropFirst(StoreSchema.treeBytes + 1), as: UTF8.self)
                .flatMap(CipherSuite.init(rawValue:))
        else { throw StoreDamage(nil, "what the store says of its key tree names no tree and suite") }
        return NamedTree(id: id, suite: suite)
    }

    func setKeyTree(_ tree: NamedTree, _ transaction: borrowing WriteTransaction) throws {
        try setKeyRow(StoreSchema.keyTreeKey, Array("\(tree.id) \(tree.suite.rawValue)".utf8), transaction)
    }

    /// The first slot of the key tree that no scope has had.
    func nextSlot(_ transaction: borrowing some Readable & ~Copyable) throws -> UInt64 {
        try keyNumber(StoreSchema.nextSlotKey, transaction)
    }

    func setNextSlot(_ slot: UInt64, _ transaction: borrowing WriteTransaction) throws {
        try setKeyRow(StoreSchema.nextSlotKey, StoreKey.number(slot), transaction)
    }

    /// The epoch the key tree had when the store last knew of a change of it.
    func keyEpoch(_ transaction: borrowing some Readable & ~Copyable) throws -> UInt64 {
        try keyNumber(StoreSchema.keyEpochKey, transaction)
    }

    func setKeyEpoch(_ epoch: UInt64, _ transaction: borrowing WriteTransaction) throws {
        try setKeyRow(StoreSchema.keyEpochKey, StoreKey.number(epoch), transaction)
    }

    /// The recorded events whose keys are not destroyed yet, in ascending order.
    func pendingErasures(_ transaction: borrowing some Readable & ~Copyable) throws -> [UInt64] {
        let row = try keyRow(StoreSchema.pendingErasuresKey, transaction)
        return try stride(from: row.startIndex, to: row.endIndex, by: 8).map { start in
            guard let index = StoreKey.readNumber(row[start...].prefix(8)) else {
                throw StoreDamage(nil, "which erasures are under way is not as it was written")
            }
            return index
        }
    }

    func setPendingErasures(_ indexes: [UInt64], _ transaction: borrowing WriteTransaction) throws {
        try setKeyRow(StoreSchema.pendingErasuresKey, indexes.flatMap { StoreKey.number($0) }, transaction)
    }

    /// The row that names them, as it is stored: equal bytes name the same.
    func pendingErasuresRow(_ transaction: borrowing some Readable & ~Copyable) throws -> [UInt8]? {
        try transaction.get(meta, StoreSchema.pendingErasuresKey)
    }

    /// The recorded events whose keys are not destroyed yet, with the scopes each of them erases.
    func pendingScopes(
        _ transaction: borrowing some Readable & ~Copyable
    ) throws -> [(entry: UInt64, scopes: [StreamID])] {
        var hasher = SHA256Hasher()
        return try pendingErasures(transaction).map { index in
            (index, Erasing.scopes(namedBy: try intactEntry(transaction, index, &hasher).entry))
        }
    }
}
