import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The log as the look-up index is made from it.
struct LookupLog: Sendable {
    let environment: Environment
    let schema: StoreSchema
    let claimKeys: ClaimKeys
    let losses: ClaimLosses

    /// How many entries are committed.
    func size() throws -> UInt64 { try read { try schema.size($0) } }

    func leaf(_ index: UInt64) throws -> Digest { try read { try schema.leaf($0, index) } }

    /// What goes wrong here is the store's matter, never the index's.
    private func read<Result>(_ body: (borrowing ReadTransaction) throws -> Result) throws -> Result {
        try StoreSchema.sayingDamage { try environment.read { try body($0) } }
    }

    /// What the look-up index must hold of entries.
    ///
    /// - Parameter damaged: told of entries whose claims are missing or damaged. They are indexed without the digests of
    ///   their documents: what they say besides is whole, and one row must not keep all others from being found.
    /// - Throws: `StoreDamage` where one of them is not what its leaf hash was made of.
    func records(
        _ indexes: some Sequence<UInt64>,
        damaged: (UInt64) -> Void = { _ in }
    ) throws -> [LookupRecord] {
        var claims = try SealedClaims(claimKeys, losses: losses)
        var hasher = SHA256Hasher()
        return try read { transaction in
            try indexes.map { index in
                try schema.lookupRecord(transaction, index, &claims, &hasher) { damaged(index) }
            }
        }
    }

    /// The entries before one that erases, which have claims under a scope it erases and may record documents by them, in
    /// ledger order.
    ///
    /// - Throws: `StoreDamage` where it isn't known which there are.
    func documents(erasedBy erasing: UInt64) throws -> [UInt64] {
        var hasher = SHA256Hasher()
        let scopes = try read {
            Erasing.scopes(namedBy: try schema.intactEntry($0, erasing, &hasher).entry)
        }
        var found: Set<UInt64> = []
        for scope in Set(scopes) {
            var from: UInt64 = 0
            while from < erasing {
                // A short snapshot each: of a scope there may be any number of entries.
                let rows = try read { transaction in
                    let rows = try schema.rows(of: scope, transaction, from: from, limit: 1_024, reverse: false)
                    for row in rows where row.index < erasing {
                        let entry = try schema.intactEntry(transaction, row.index, &hasher).entry
                        try row.require(entry, in: scope)
                        if entry.hasDocuments(under: scope) { found.insert(row.index) }
                    }
                    return rows
                }
                guard let last = rows.last else { break }
                from = last.index + 1
            }
        }
        return found.sorted()
    }

    /// Whether the index says that an earlier entry made the request key of a record, and that entry did.
    func isRepeated(_ record: LookupRecord, _ index: LookupIndex) throws -> Bool {
        guard let first = try index.indexes(of: [record.request])[0], first < record.index else { return false }
        return try records(first..<first + 1)[0].request == record.request
    }
}

extension Entry {
    /// Whether it has claims that may be a document's digest, under a scope or under any.
    func hasDocuments(under scope: StreamID? = nil) -> Bool {
        guard scope == nil || claims.contains(where: { $0.scope == scope }) else { return false }
        // All of an entry's documents go with any of its scopes.
        return claims.contains { $0.claims.contains { EventCatalogue.digestClaims.contains($0.name) } }
    }
}

extension StoreSchema {
    /// An entry that hashes to its leaf in the tree, and that leaf: what else is read of it was signed.
    ///
    /// - Throws: `StoreDamage` where it doesn't, or is no entry.
    func intactEntry(
        _ transaction: borrowing some Readable & ~Copyable,
        _ index: UInt64,
        _ hasher: inout SHA256Hasher
    ) throws -> (entry: Entry, leaf: Digest) {
        let stored = try stored(transaction, index)
        return (try stored.intact(&hasher), stored.leaf)
    }

    /// An entry as it is stored, whether or not it is what was signed.
    func stored(_ transaction: borrowing some Readable & ~Copyable, _ index: UInt64) throws -> StoredEntry {
        StoredEntry(index: index, bytes: try entry(transaction, index), leaf: try leaf(transaction, index))
    }

    /// What the look-up index must hold of an entry. Document digests of erased claims are gone from it too.
    ///
    /// - Parameter damaged: told where the claims are missing or damaged.
    /// - Throws: `StoreDamage` where the entry is not what its leaf hash was made of.
    fileprivate func lookupRecord(
        _ transaction: borrowing some Readable & ~Copyable,
        _ index: UInt64,
        _ claims: inout SealedClaims,
        _ hasher: inout SHA256Hasher,
        damaged: () -> Void
    ) throws -> LookupRecord {
        let (entry, leaf) = try intactEntry(transaction, index, &hasher)
        return LookupRecord(
            index: index,
            leaf: leaf,
            type: entry.type,
            submitter: entry.submitter,
            request: RequestReference(entry, claims.hasher),
            documents: try documents(of: entry, transaction, &claims, damaged: damaged)
        )
    }

    /// The document digests among the claims of an entry; none where not all of them can be read.
    private func documents(
        of entry: Entry,
        _ transaction: borrowing some Readable & ~Copyable,
        _ claims: inout SealedClaims,
        damaged: () -> Void
    ) throws -> DocumentDigests {
        var documents = DocumentDigests()
        guard entry.hasDocuments() else { return documents }
        do {
            let erased = try claims.open(entry, transaction, self) { _, name, _, value in
                documents.note(name.utf8.span, value)
            }
            return erased.isEmpty ? documents : DocumentDigests()
        } catch is StoreDamage {
            damaged()
            return .unread
        }
    }
}
