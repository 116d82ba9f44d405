import LMDB
public import LedgerFormat
public import Merkle
import OpenSSL

/// An entry's exact bytes and leaf hash.
public struct StoredEntry: Sendable {
    public let index: UInt64
    /// Canonical JSON, as it is stored.
    public let bytes: [UInt8]
    /// As the tree has it; whether the bytes hash to it, whoever reads them finds out.
    public let leaf: Digest

    /// What the entry says, which was signed: it hashes to its leaf.
    ///
    /// - Throws: `StoreDamage` where it doesn't, or is no entry.
    func intact(_ hasher: inout SHA256Hasher) throws(StoreDamage) -> Entry {
        guard hasher.leaf(bytes) == leaf else {
            throw StoreDamage(index, "the entry does not hash to its leaf in the tree")
        }
        do throws(EntryError) {
            return try Entry(bytes)
        } catch {
            throw StoreDamage(index, "the entry is malformed: \(error)")
        }
    }
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

    /// How many of stream, type and submitter it asks for: a look-up gives the entries of one.
    fileprivate var lookups: Int { [stream != nil, type != nil, submitter != nil].count { $0 } }
}

/// One page of a list; `next` is where the following page begins, nil at the end.
public struct EntryPage: Sendable {
    public let entries: [StoredEntry]
    public let next: UInt64?
}

extension Ledger {
    /// An error of a call by what it means to the caller: damage of the store, or that others have taken every place for a
    /// reader, which passes. Want of memory or descriptors is told as what it is: the operator has to know.
    public static func explained(_ error: any Error) -> any Error {
        if let refusal = error as? LMDBError, refusal.isReadersFull { return LedgerError.busy }
        return StoreDamage.named(error)
    }

    /// What the log of a service says of an error: streams, and so people, are not named.
    public static func forLog(_ error: any Error) -> String {
        switch StoreDamage.named(error) {
        case let refusal as LedgerError: refusal.forLog
        case let damage as StoreDamage: damage.forLog
        default: "\(error)"
        }
    }

    /// The entry at `index`, among those a checkpoint covers.
    public func entry(at index: UInt64) throws -> StoredEntry {
        guard index < checkpoint.size else { throw LedgerError.notFound(what: "entry \(index)") }
        return try environment.read { try schema.stored($0, index) }
    }

    /// Entries in ledger order, or newest first, that pass a filter.
    ///
    /// None that passes is left out: what leads to an entry, and what an entry says where that decides, is held against
    /// what was signed.
    ///
    /// - Parameter from: index to begin at; nil for the end the order begins with.
    /// - Throws: `StoreDamage` where it isn't known what belongs on the page; `LedgerError`.
    public func list(_ filter: EntryFilter, from: UInt64?, limit: Int, reverse: Bool) throws -> EntryPage {
        let size = checkpoint.size
        var hasher = SHA256Hasher()
        let low = try filter.since.map { try firstIndex(notBefore: $0, size: size, &hasher) } ?? 0
        let high = try filter.until.map { try firstIndex(notBefore: $0, size: size, &hasher) } ?? size
        guard low < high else { return EntryPage(entries: [], next: nil) }
        var position = reverse ? min(from ?? high - 1, high - 1) : max(from ?? low, low)
        var found: [StoredEntry] = []
        // The narrowest index drives; what else the filter asks is checked on each entry, in bounded steps. Then many
        // candidates are taken at once, whatever the limit: taking them costs most.
        let step = filter.lookups > 1 ? max(limit, 1_024) : limit
        var examined = 0
        while found.count < limit, position >= low, position < high {
            let candidates = try candidates(filter, from: position, size: high, limit: step, reverse: reverse)
            guard let last = candidates.last else { return EntryPage(entries: found, next: nil) }
            for candidate in candidates {
                let index = candidate.index
                // A row of a stream that leads astray must not make an entry disappear, wherever it leads.
                guard low..<high ~= index || candidate.number != nil else { continue }
                examined += 1
                guard let stored = try passing(candidate, filter, &hasher), low..<high ~= index else { continue }
                found.append(stored)
                if found.count == limit {
                    return EntryPage(entries: found, next: following(index, low, high, reverse))
                }
            }
            guard let next = following(last.index, low, high, reverse) else { break }
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
        let indexes = try lookups.ask { try $0.indexes(ofDocument: digest) }.filter { $0 >= from && $0 < size }
        var claims = try sealedClaims()
        var hasher = SHA256Hasher()
        var page: [StoredEntry] = []
        for index in indexes {
            let stored = try entry(at: index)
            let entry = try stored.intact(&hasher)
            var documents = DocumentDigests()
            // What was erased meanwhile, the index may still have; nobody is told of it.
            _ = try environment.read { transaction in
                try claims.open(entry, transaction, schema) { _, name, _, value in documents.note(name.utf8.span, value)
                }
            }
            guard documents.contains(digest) else { continue }
            guard page.count < limit else { return EntryPage(entries: page, next: index) }
            page.append(stored)
        }
        return EntryPage(entries: page, next: nil)
    }

    /// The index of the entry with this leaf hash.
    ///
    /// - Throws: `StoreDamage` where the entry that may be the one is not what was signed.
    public func index(ofLeaf leaf: Digest) throws -> UInt64 {
        let size = checkpoint.size
        var hasher = SHA256Hasher()
        for candidate in try lookups.ask({ try $0.candidates(leaf: leaf) }) where candidate < size {
            let stored = try entry(at: candidate)
            if stored.leaf == leaf { return candidate }
            // Its hash began like this when it was indexed: another entry's may, and a damaged row does too.
            _ = try stored.intact(&hasher)
        }
        throw LedgerError.notFound(what: "an entry with this leaf hash")
    }

    /// The claims of an entry, all or those named, each checked against its commitment.
    public func open(_ index: UInt64, names: [String]?) throws -> [Opening] {
        var hasher = SHA256Hasher()
        let entry = try self.entry(at: index).intact(&hasher)
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

    private func following(_ index: UInt64, _ low: UInt64, _ high: UInt64, _ reverse: Bool) -> UInt64? {
        if reverse { return index > low ? index - 1 : nil }
        return index + 1 < high ? index + 1 : nil
    }

    /// An entry that may belong on a page.
    private struct Candidate {
        let index: UInt64
        /// What it must be the number of in the filter's stream, where that led to it.
        var number: UInt64?
    }

    private func candidates(
        _ filter: EntryFilter,
        from: UInt64,
        size: UInt64,
        limit: Int,
        reverse: Bool
    ) throws -> [Candidate] {
        if let stream = filter.stream {
            let rows = try environment.read {
                try schema.rows(of: stream, $0, from: from, limit: limit, reverse: reverse)
            }
            return rows.map { Candidate(index: $0.index, number: $0.number) }
        }
        if let type = filter.type {
            return try lookups.ask { try $0.indexes(ofType: type, from: from, limit: limit, reverse: reverse) }
                .map { Candidate(index: $0) }
        }
        if let submitter = filter.submitter {
            return try lookups.ask {
                try $0.indexes(ofSubmitter: submitter, from: from, limit: limit, reverse: reverse)
            }
            .map { Candidate(index: $0) }
        }
        let count = UInt64(limit)
        if reverse { return ((from >= count ? from - count + 1 : 0)...from).reversed().map { Candidate(index: $0) } }
        return (from..<min(size, from + count)).map { Candidate(index: $0) }
    }

    /// The entry of a candidate; nil where it does not pass the filter.
    ///
    /// - Throws: `StoreDamage` where it is not what was signed, or not what led to it.
    private func passing(
        _ candidate: Candidate,
        _ filter: EntryFilter,
        _ hasher: inout SHA256Hasher
    ) throws -> StoredEntry? {
        let stored = try environment.read { try schema.stored($0, candidate.index) }
        guard filter.lookups > 0 else { return stored }
        let entry = try stored.intact(&hasher)
        if let stream = filter.stream, let number = candidate.number {
            try StreamRow(number: number, index: candidate.index).require(entry, in: stream)
        }
        let passes =
            (filter.type.map { $0.utf8.elementsEqual(entry.type.utf8) } ?? true)
            && (filter.submitter.map { $0.utf8.elementsEqual(entry.submitter.utf8) } ?? true)
        return passes ? stored : nil
    }

    /// Times grow strictly with the index, so the border is found by halving.
    private func firstIndex(
        notBefore time: LedgerTime,
        size: UInt64,
        _ hasher: inout SHA256Hasher
    ) throws -> UInt64 {
        var low: UInt64 = 0
        var high = size
        while low < high {
            let middle = low + (high - low) / 2
            if try entry(at: middle).intact(&hasher).time < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
