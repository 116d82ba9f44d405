import LMDB
public import LedgerFormat
public import Merkle
import OpenSSL

/// An entry's exact bytes and leaf hash.
public struct StoredEntry: Sendable {
    public let index: UInt64
    public let bytes: [UInt8]
    public let leaf: Digest
}

/// What `Ledger.list` narrows by; fields left nil don't.
public struct EntryFilter: Sendable {
    public var stream: StreamID?
    public var type: String?
    public var submitter: String?
    /// First time included.
    public var since: LedgerTime?
    /// First time excluded.
    public var until: LedgerTime?

    public init(
        stream: StreamID? = nil,
        type: String? = nil,
        submitter: String? = nil,
        since: LedgerTime? = nil,
        until: LedgerTime? = nil
    ) {
        self.stream = stream
        self.type = type
        self.submitter = submitter
        self.since = since
        self.until = until
    }

    /// Whether it asks for more than one look-up gives.
    fileprivate var isCombined: Bool { [stream != nil, type != nil, submitter != nil].count { $0 } > 1 }
}

/// One page of a list; `next` is where the following page begins, nil at the end.
public struct EntryPage: Sendable {
    public let entries: [StoredEntry]
    public let next: UInt64?
}

extension Ledger {
    /// An error of a read by what it means to the caller: damage of the store, or that others have taken every place
    /// for a reader, which passes.
    public static func explained(_ error: any Error) -> any Error {
        if let refusal = error as? LMDBError, refusal.isReadersFull { return LedgerError.busy }
        return StoreDamage.named(error)
    }

    /// The entry at `index`, among those a checkpoint covers.
    public func entry(at index: UInt64) throws -> StoredEntry {
        guard index < checkpoint.size else { throw LedgerError.notFound(what: "entry \(index)") }
        return try environment.read { try stored($0, index) }
    }

    /// Entries in ledger order, or newest first, that pass a filter.
    ///
    /// - Parameter from: index to begin at; nil for the end the order begins with.
    public func list(_ filter: EntryFilter, from: UInt64?, limit: Int, reverse: Bool) throws -> EntryPage {
        let size = checkpoint.size
        let low = try filter.since.map { try firstIndex(notBefore: $0, size: size) } ?? 0
        let high = try filter.until.map { try firstIndex(notBefore: $0, size: size) } ?? size
        guard low < high else { return EntryPage(entries: [], next: nil) }
        var position = reverse ? min(from ?? high - 1, high - 1) : max(from ?? low, low)
        var found: [StoredEntry] = []
        // The narrowest index drives; what else the filter asks is checked on each entry, in bounded steps. Then many
        // candidates are taken at once, whatever the limit: taking them costs most.
        let step = filter.isCombined ? max(limit, 1_024) : limit
        var examined = 0
        while found.count < limit, position >= low, position < high {
            let candidates = try candidates(filter, from: position, size: high, limit: step, reverse: reverse)
            guard let last = candidates.last else { return EntryPage(entries: found, next: nil) }
            for index in candidates where index >= low && index < high {
                let stored = try entry(at: index)
                if try passes(stored, filter) { found.append(stored) }
                examined += 1
                if found.count == limit {
                    return EntryPage(entries: found, next: following(index, low, high, reverse))
                }
            }
            guard let next = following(last, low, high, reverse) else { break }
            position = next
            if examined >= 10_000 { return EntryPage(entries: found, next: position) }
        }
        return EntryPage(entries: found, next: nil)
    }

    /// Entries that record a document by its SHA-256 or SM3 digest, in ledger order, at most `limit`.
    ///
    /// - Parameter from: the index to begin at.
    public func find(document digest: Digest, from: UInt64 = 0, limit: Int = .max) throws -> EntryPage {
        let size = checkpoint.size
        let indexes = try lookups.checked().indexes(ofDocument: digest).filter { $0 >= from && $0 < size }
        return EntryPage(
            entries: try indexes.prefix(limit).map { try entry(at: $0) },
            next: indexes.count > limit ? indexes[limit] : nil
        )
    }

    /// The index of the entry with this leaf hash.
    public func index(ofLeaf leaf: Digest) throws -> UInt64 {
        let size = checkpoint.size
        for candidate in try lookups.checked().candidates(leaf: leaf) where candidate < size {
            if try entry(at: candidate).leaf == leaf { return candidate }
        }
        throw LedgerError.notFound(what: "an entry with this leaf hash")
    }

    /// The claims of an entry, all or those named, each checked against its commitment.
    public func open(_ index: UInt64, names: [String]?) throws -> [Opening] {
        let entry = try Entry(self.entry(at: index).bytes)
        if let names {
            let known = Set(entry.claims.flatMap { $0.claims.map(\.name) })
            for name in names where !known.contains(name) {
                throw LedgerError.invalidArgument(field: "names", rule: "must name claims the entry has")
            }
        }
        var claims = try sealedClaims()
        return try environment.read { try claims.openings(of: entry, names: names, $0, schema) }
    }

    // MARK: Parts

    private func stored(_ transaction: borrowing ReadTransaction, _ index: UInt64) throws -> StoredEntry {
        StoredEntry(
            index: index,
            bytes: try schema.entry(transaction, index),
            leaf: try schema.leaf(transaction, index)
        )
    }

    private func following(_ index: UInt64, _ low: UInt64, _ high: UInt64, _ reverse: Bool) -> UInt64? {
        if reverse { return index > low ? index - 1 : nil }
        return index + 1 < high ? index + 1 : nil
    }

    private func candidates(
        _ filter: EntryFilter,
        from: UInt64,
        size: UInt64,
        limit: Int,
        reverse: Bool
    ) throws -> [UInt64] {
        if let stream = filter.stream {
            return try environment.read {
                try schema.indexes(of: stream, $0, from: from, limit: limit, reverse: reverse)
            }
        }
        if let type = filter.type {
            return try lookups.checked().indexes(ofType: type, from: from, limit: limit, reverse: reverse)
        }
        if let submitter = filter.submitter {
            return try lookups.checked().indexes(ofSubmitter: submitter, from: from, limit: limit, reverse: reverse)
        }
        let count = UInt64(limit)
        if reverse { return ((from >= count ? from - count + 1 : 0)...from).reversed() }
        return Array(from..<min(size, from + count))
    }

    private func passes(_ stored: StoredEntry, _ filter: EntryFilter) throws -> Bool {
        guard filter.type != nil || filter.submitter != nil || filter.stream != nil else { return true }
        let entry = try Entry(stored.bytes)
        return (filter.type.map { $0.utf8.elementsEqual(entry.type.utf8) } ?? true)
            && (filter.submitter.map { $0.utf8.elementsEqual(entry.submitter.utf8) } ?? true)
            && (filter.stream.map { stream in entry.streams.contains { $0.stream == stream } } ?? true)
    }

    /// Times grow strictly with the index, so the border is found by halving.
    private func firstIndex(notBefore time: LedgerTime, size: UInt64) throws -> UInt64 {
        var low: UInt64 = 0
        var high = size
        while low < high {
            let middle = low + (high - low) / 2
            if try Entry(entry(at: middle).bytes).time < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
