import LMDB
import LedgerFormat
import OpenSSL

/// Goes through the entries once more where sums showed that rows are wrong, to say which.
struct AuditRecheck {
    let schema: StoreSchema
    let lookups: LookupAudit?
    let streams: Bool
    private(set) var findings: [AuditFinding] = []
    /// Whether an entry showed that stream rows are wrong, and whether one showed that look-ups are.
    private(set) var contradictsStreams = false
    private(set) var contradictsLookups = false
    private var hasher = SHA256Hasher()

    init(schema: StoreSchema, lookups: LookupAudit?, streams: Bool) {
        self.schema = schema
        self.lookups = lookups
        self.streams = streams
    }

    mutating func examine(_ index: UInt64, _ transaction: borrowing ReadTransaction) throws {
        guard let bytes = try? schema.entry(transaction, index), let entry = try? Entry(bytes) else { return }
        if streams { try examineStreams(entry, at: index, transaction) }
        if let lookups, index < lookups.indexed {
            // As the walk does, with the hash stored for a changed entry.
            let leaf = (try? schema.leaf(transaction, index)) ?? hasher.leaf(bytes)
            let contradiction = try lookups.contradiction(entry, at: index, leaf, transaction, schema)
            if let contradiction {
                contradictsLookups = true
                found(index, "the look-up index disagrees about its \(contradiction)")
            }
        }
    }

    /// Number n of a stream is this entry's, and number n − 1 an earlier one's: by induction no number is missing.
    private mutating func examineStreams(
        _ entry: Entry,
        at position: UInt64,
        _ transaction: borrowing ReadTransaction
    ) throws {
        for membership in entry.streams {
            let number = UInt64(membership.number)
            let own = try schema.streams.stored(transaction, StoreKey.stream(membership.stream, number: number))
            if own != StoreKey.number(position) {
                contradictsStreams = true
                found(position, "is not number \(number) of \(membership.stream)")
            }
            guard number > 0 else { continue }
            let before = try schema.streams.stored(transaction, StoreKey.stream(membership.stream, number: number - 1))
            guard let index = before.flatMap({ StoreKey.readNumber($0) }), index < position else {
                contradictsStreams = true
                found(position, "number \(number - 1) of \(membership.stream) is not an earlier entry")
                continue
            }
        }
    }

    private mutating func found(_ index: UInt64, _ what: String) {
        findings.append(AuditFinding(index: index, what: what))
    }
}
