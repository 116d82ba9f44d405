import LedgerFormat
import Merkle
import OpenSSL

/// Compares the look-up index with the entries it was made from, as far as it has followed the log.
struct LookupAudit {
    /// Entries the index held when the audit began.
    let indexed: UInt64
    private let index: LookupIndex
    private let hasher = SHA256Hasher()
    private let rows: [(name: String, count: Int)]
    private let documents: Int
    /// Whether document digests can be recomputed: their hash is keyed.
    private let isKeyed: Bool
    private var seenDocuments = 0
    private var hasUnreadableClaims = false

    /// Nil where the index is of another ledger or of an earlier incarnation: the daemon makes it anew at its start.
    init?(directory: String, key: [UInt8]?, identity: LedgerIdentity) throws {
        index = try LookupIndex(readOnly: directory, key: key ?? [UInt8](repeating: 0, count: 32))
        isKeyed = key != nil
        let ledger: [UInt8]
        (indexed, ledger, rows, documents) = try index.totals()
        guard ledger == identity.encoded else { return nil }
    }

    /// What the index says of an entry that the entry doesn't; nil where they agree.
    mutating func examine(_ entry: Entry, _ leaf: Digest, _ openings: [Opening]) throws -> String? {
        guard entry.index < indexed else { return nil }
        let record = LookupRecord(
            entry: entry,
            leaf: leaf,
            request: RequestReference(entry, hasher),
            openings: isKeyed ? [openings] : [],
            hash: index.hash
        )
        seenDocuments += Set(record.documents).count
        if openings.isEmpty, !entry.claims.isEmpty { hasUnreadableClaims = true }
        return try index.contradiction(record)
    }

    /// What is wrong with the index as a whole.
    func conclude() -> [String] {
        var findings = rows.filter { UInt64($0.count) != indexed }.map { row in
            "the look-up index has \(row.count) \(row.name) rows for \(indexed) entries"
        }
        if isKeyed, !hasUnreadableClaims, documents != seenDocuments {
            findings.append("the look-up index has \(documents) document rows where the entries have \(seenDocuments)")
        }
        return findings
    }
}
