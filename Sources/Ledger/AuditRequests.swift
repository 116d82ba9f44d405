import LMDB
import LedgerFormat
import OpenSSL

/// That no two entries have the same submitter and request (`ledger-format.md` section 3), from the entries alone.
///
/// Of each entry a keyed hash of eight bytes is kept and the hashes are sorted; entries whose hashes are equal are read
/// again and compared byte by byte. So the memory is eight bytes an entry, and bounded: of a ledger with more entries
/// than are kept at once, each further part of the hashes is made by going through the entries again.
struct AuditRequests {
    /// Hashes kept at once: 512 MiB.
    static let capacity: UInt64 = 1 << 26
    /// Hashes that occurred more than once and are followed up; an audit ends after fewer findings.
    private static let followed = 10 * LedgerAudit.maximumFindings
    /// Of so many parts one is kept at a time.
    let parts: UInt64
    private var part: UInt64 = 0
    private var hashes: [UInt64] = []
    private var repeated: Set<UInt64> = []

    /// - Parameters:
    ///   - size: entries of the ledger.
    ///   - capacity: hashes to keep at once, about.
    init(size: UInt64, capacity: UInt64 = AuditRequests.capacity) {
        parts = size / capacity + 1
        hashes.reserveCapacity(Int(min(size, capacity + capacity / 64)))
    }

    static func hash(_ entry: Entry) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(entry.request.value)
        for byte in entry.submitter.utf8 { hasher.combine(byte) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// Takes the hashes of some entries; those of another part are left for later.
    mutating func add(_ some: [UInt64]) {
        if parts == 1 {
            hashes.append(contentsOf: some)
        } else {
            hashes.append(contentsOf: some.lazy.filter { [parts, part] in $0 % parts == part })
        }
    }

    /// Notes which hashes of the part occurred more than once.
    private mutating func settle() {
        hashes.sort()
        for (hash, next) in zip(hashes, hashes.dropFirst()) where hash == next {
            guard repeated.count < AuditRequests.followed else { break }
            repeated.insert(hash)
        }
        hashes.removeAll(keepingCapacity: true)
    }

    /// The entries that repeat an earlier one's submitter and request.
    ///
    /// - Parameter environment: where entries are read again, where that is needed.
    mutating func findings(_ environment: Environment, _ schema: StoreSchema, size: UInt64) -> [AuditFinding] {
        settle()
        while part + 1 < parts {
            part += 1
            AuditRequests.forEachChunk(environment, schema, size: size) { _, entry in
                AuditRequests.hash(entry)
            } each: {
                add($0)
            }
            settle()
        }
        guard !repeated.isEmpty else { return [] }
        var first: [[UInt8]: UInt64] = [:]
        var findings: [AuditFinding] = []
        let wanted = repeated
        AuditRequests.forEachChunk(environment, schema, size: size) { index, entry in
            wanted.contains(AuditRequests.hash(entry))
                ? (index, Array("\(entry.submitter) \(entry.request)".utf8)) : nil
        } each: { suspects in
            for (index, pair) in suspects {
                if let earlier = first[pair] {
                    findings.append(
                        AuditFinding(index: index, what: "has the submitter and request of entry \(earlier)")
                    )
                } else {
                    first[pair] = index
                }
            }
        }
        return findings
    }

    /// Goes through the entries that can be read, on all processors.
    ///
    /// - Parameters:
    ///   - make: what to keep of an entry at an index; nil for nothing.
    ///   - each: takes what was kept, in the order of the entries.
    private static func forEachChunk<Value: Sendable>(
        _ environment: Environment,
        _ schema: StoreSchema,
        size: UInt64,
        _ make: @Sendable (UInt64, Entry) -> Value?,
        each: ([Value]) -> Void
    ) {
        let wave = UInt64(Parallel.width * 4) * AuditChunk.entries
        for start in stride(from: 0, to: size, by: Int(wave)) {
            let end = min(start + wave, size)
            let chunks = Int((end - start + AuditChunk.entries - 1) / AuditChunk.entries)
            let kept = Parallel.map(chunks) { _, position -> [Value] in
                let first = start + UInt64(position) * AuditChunk.entries
                let count = Int(min(AuditChunk.entries, end - first))
                var values: [Value] = []
                // What can't be read was found before.
                try? environment.read { transaction in
                    try transaction.forEach(schema.entries, from: first, count: count) { index, stored in
                        guard let stored, let entry = try? Entry([UInt8](stored)) else { return }
                        if let value = make(index, entry) { values.append(value) }
                    }
                }
                return values
            }
            for values in kept { each(values) }
        }
    }
}
