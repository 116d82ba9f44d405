import LMDB
import LedgerFormat
import Merkle

/// Comparing the look-up index with the entries it was made from.
extension LookupIndex {
    /// What the environment says of itself, of one snapshot.
    struct Totals {
        let state: LookupState
        /// The ledger it belongs to; nil where it has another layout than this version's.
        let ledger: [UInt8]?
    }

    func totals() throws -> Totals {
        try read { transaction in
            let isOurs = try transaction.get(meta, LookupIndex.formatKey) == LookupIndex.format
            return Totals(
                state: isOurs ? try state(transaction) : LookupState(),
                ledger: isOurs ? try transaction.get(meta, LookupIndex.ledgerKey) : nil
            )
        }
    }

    /// Whether the environment has the row of a block's documents as it must be.
    func agreesOnDocuments(_ block: LookupBlock) throws -> Bool {
        try read { try holds(documents, LookupIndex.key(block.number), block.documents, $0) }
    }

    /// What it has of the documents of a block's entries; and up to which entry what entries erased is taken out of it.
    func documentRecords(_ block: UInt64) throws -> (records: [(key: ID128, offset: UInt16)], forgotten: UInt64) {
        try read { transaction in
            let key = LookupIndex.key(UInt32(truncatingIfNeeded: block))
            let records = try transaction.withValue(documents, key) { LookupBlock.documents(LookupSeal.content($0)) }
            return (records ?? [], try state(transaction).forgotten)
        }
    }

    /// Whether the environment has the other rows of a block as they must be.
    func agrees(_ block: LookupBlock) throws -> Bool {
        try read { transaction in
            let key = LookupIndex.key(block.number)
            guard try holds(leaves, key, block.leaves, transaction) else { return false }
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
        try transaction.withValue(database, key) { LookupSeal.content($0).elementsEqual(row) } == true
    }

    /// The sum (`AuditSum`) over the request keys of the entries below `size`.
    func requestSum(below size: UInt64) throws -> UInt64 {
        try read { transaction in
            var sum: UInt64 = 0
            let seal = LookupSeal()
            try transaction.forEach(requests) { key, value in
                for record in try RequestSegment(key: key, value: value, seal).records where record.index < size {
                    sum &+= AuditSum.request(record.reference, index: record.index)
                }
            }
            return sum
        }
    }

    static let requestContradiction = "request key"

    /// What the environment says of an entry that the entry doesn't; nil where it agrees.
    ///
    /// - Throws: `LookupDamage` where what it says of the request key is not as it was written.
    func contradiction(_ record: LookupRecord) throws -> String? {
        let block = UInt32(truncatingIfNeeded: record.index / LookupBlock.entries)
        let offset = UInt16(truncatingIfNeeded: record.index % LookupBlock.entries)
        let key = LookupIndex.key(block)
        return try read { transaction in
            if try request(record.request, transaction) != record.index { return LookupIndex.requestContradiction }
            let prefix = Array(record.leaf.bytes.prefix(LookupBlock.leafBytes - 2))
            let hashes = try transaction.withValue(leaves, key) { row in
                LookupBlock.offsets(LookupSeal.content(row), beginningWith: prefix, width: LookupBlock.leafBytes)
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
                    LookupBlock.offsets(
                        LookupSeal.content(row),
                        beginningWith: digest,
                        width: LookupBlock.documentBytes
                    )
                }
                if found?.contains(offset) != true { return "document digest" }
            }
            // These rows ascend too, and may hold the whole block: going through one for each entry would take hours.
            let own = [UInt8(offset >> 8), UInt8(offset & 255)]
            for (name, database, value) in [("type", types, record.type), ("submitter", submitters, record.submitter)] {
                let offsets = try transaction.withValue(database, LookupIndex.key(value, block)) {
                    LookupBlock.offsets(LookupSeal.content($0), beginningWith: own, width: 2)
                }
                if offsets?.contains(offset) != true { return name }
            }
            return nil
        }
    }

    /// The entry the environment says a request key made.
    private func request(_ reference: RequestReference, _ transaction: borrowing ReadTransaction) throws -> UInt64? {
        try transaction.cursor(requests) { cursor in
            try LookupIndex.segment(covering: reference, cursor, LookupSeal()).index(of: reference)
        }
    }
}
