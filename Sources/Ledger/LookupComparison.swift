import LMDB
import LedgerFormat
import Merkle

/// Comparing the look-up index with the entries it was made from.
extension LookupIndex {
    /// What the environment says of itself, of one snapshot.
    struct Totals {
        /// Entries the environment holds.
        let indexed: UInt64
        /// The ledger it belongs to; nil where it has another layout than this version's.
        let ledger: [UInt8]?
        /// How many rows each database has.
        let rows: [(name: String, count: Int)]

        /// Whether the databases with a row for each entry or block have as many as they must.
        var areWhole: Bool {
            let blocks = Int(indexed / LookupBlock.entries)
            return indexed % LookupBlock.entries == 0 && rows[0].count == Int(indexed) && rows[1].count == blocks
                && rows[2].count == blocks
        }
    }

    func totals() throws -> Totals {
        try environment.read { transaction in
            let format = try transaction.get(meta, LookupIndex.formatKey)
            return Totals(
                indexed: try indexed(transaction),
                ledger: format == LookupIndex.format ? try transaction.get(meta, LookupIndex.ledgerKey) : nil,
                rows: [
                    ("request key", try transaction.count(requests)),
                    ("document digest", try transaction.count(documents)),
                    ("leaf hash", try transaction.count(leaves)), ("type", try transaction.count(types)),
                    ("submitter", try transaction.count(submitters)),
                ]
            )
        }
    }

    /// Whether the environment has the rows of a block as they must be.
    ///
    /// - Parameter documents: whether the block's document digests are known and to be compared.
    func agrees(_ block: LookupBlock, documents isComplete: Bool) throws -> Bool {
        try environment.read { transaction in
            let key = LookupIndex.key(block.number)
            guard try holds(leaves, key, block.leaves, transaction),
                try !isComplete || holds(documents, key, block.documents, transaction)
            else { return false }
            for (database, rows) in [(types, block.types), (submitters, block.submitters)] {
                for (name, row) in rows {
                    guard try holds(database, LookupIndex.key(name, block.number), row, transaction) else {
                        return false
                    }
                }
            }
            return true
        }
    }

    private func holds(
        _ database: Database,
        _ key: [UInt8],
        _ row: [UInt8],
        _ transaction: borrowing ReadTransaction
    ) throws -> Bool {
        try transaction.withValue(database, key) { $0.elementsEqual(row) } == true
    }

    /// The sum (`AuditSum`) over the request keys of the entries below `size`.
    func requestSum(below size: UInt64) throws -> UInt64 {
        try environment.read { transaction in
            var sum: UInt64 = 0
            var bytes: [UInt8] = []
            try transaction.forEach(requests) { key, value in
                guard let index = StoreKey.readNumber(value), index < size else { return }
                bytes.removeAll(keepingCapacity: true)
                bytes.append(contentsOf: key)
                sum &+= AuditSum.request(bytes, index: index)
            }
            return sum
        }
    }

    /// What the environment says of an entry that the entry doesn't; nil where it agrees.
    func contradiction(_ record: LookupRecord) throws -> String? {
        let block = UInt32(truncatingIfNeeded: record.index / LookupBlock.entries)
        let offset = UInt16(truncatingIfNeeded: record.index % LookupBlock.entries)
        let key = LookupIndex.key(block)
        return try environment.read { transaction in
            if try request(record.request, transaction) != record.index { return "request key" }
            let prefix = Array(record.leaf.bytes.prefix(LookupBlock.leafBytes - 2))
            let hashes = try transaction.withValue(leaves, key) { row in
                LookupBlock.offsets(row, beginningWith: prefix, width: LookupBlock.leafBytes)
            }
            if hashes?.contains(offset) != true { return "leaf hash" }
            var digests: [[UInt8]] = []
            record.documents.forEach { digest in
                var key: [UInt8] = []
                DocumentKey(digest, hash).value.append(to: &key)
                digests.append(key)
            }
            for digest in digests {
                let found = try transaction.withValue(documents, key) { row in
                    LookupBlock.offsets(row, beginningWith: digest, width: LookupBlock.documentBytes)
                }
                if found?.contains(offset) != true { return "document digest" }
            }
            // These rows ascend too, and may hold the whole block: going through one for each entry would take hours.
            let own = [UInt8(offset >> 8), UInt8(offset & 255)]
            for (name, database, value) in [("type", types, record.type), ("submitter", submitters, record.submitter)] {
                let offsets = try transaction.withValue(database, LookupIndex.key(value, block)) {
                    LookupBlock.offsets($0, beginningWith: own, width: 2)
                }
                if offsets?.contains(offset) != true { return name }
            }
            return nil
        }
    }

    /// The entry the environment says a request key made.
    private func request(_ reference: RequestReference, _ transaction: borrowing ReadTransaction) throws -> UInt64? {
        var key: [UInt8] = []
        reference.append(to: &key)
        return try transaction.get(requests, key).flatMap { StoreKey.readNumber($0) }
    }
}
