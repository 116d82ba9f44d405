import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// The rows of `scopes`, as far as they can be told. Which slot a scope has, no entry says; but a row's hash says of which
/// scope it is, and what is sealed opens under one key only.
struct ScopeDerivation {
    private var rows: [StreamID: [UInt8]] = [:]
    /// Rows that are not as they must be.
    private(set) var wrong = 0

    /// - Parameter walk: found nothing.
    /// - Throws: `StartupRefusal` where nobody can tell the key of a scope, or the key tree can't be read.
    init(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ walk: AuditWalk,
        _ keys: String,
        _ keyring: Keyring
    ) throws {
        let facts = try ScopeFacts(environment, schema, walk)
        let hasher = SHA256Hasher()
        // What the rows there are say, wherever they stand.
        var stray: [[UInt8]] = []
        let areLinked = try environment.read { transaction in
            try schema.scopes.forEach(transaction) { key, content in
                let content = Array(content)
                if let scope = StoreKey.readStream(Array(key)), rows[scope] == nil,
                    facts.allow(content, of: scope, hasher)
                {
                    rows[scope] = content
                } else {
                    stray.append(content)
                }
            }
        }
        let missing = facts.named.filter { rows[$0] == nil }
        wrong = max(missing.count, stray.count, areLinked ? 0 : 1)
        guard !missing.isEmpty else { return }
        var unknown: [StreamID] = []
        for scope in missing {
            // Its key turned, or that of its row.
            if let content = stray.first(where: { $0.count >= ScopeSlot.bytes && facts.allow($0, of: scope, hasher) }) {
                rows[scope] = content
            } else if facts.claims[scope] == nil, let entry = facts.erasing[scope] {
                rows[scope] = StoreKey.number(entry)
            } else {
                unknown.append(scope)
            }
        }
        guard !unknown.isEmpty else { return }
        try lookForKeys(of: unknown, facts, environment, schema, keys, keyring, hasher)
    }

    /// Finds the slots of scopes among those that no other has.
    private mutating func lookForKeys(
        of scopes: [StreamID],
        _ facts: ScopeFacts,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ directory: String,
        _ keyring: Keyring,
        _ hasher: SHA256Hasher
    ) throws {
        let stored = try environment.read { try StoredKeys($0, schema) }
        let source = try ClaimKeys(reading: directory, keyring, stored)
        var taken: Set<UInt64> = []
        for (scope, content) in rows {
            if let slot = content.withUnsafeBytes({ ScopeRow($0, of: scope, hasher) })?.slot { taken.insert(slot) }
        }
        var left = scopes
        var claims = try SealedClaims(source, losses: .audited)
        for slot in 0..<stored.nextSlot where !left.isEmpty && !taken.contains(slot) {
            guard case .living(let key) = try source.tree.key(of: slot) else { continue }
            let found = try environment.read { transaction in
                try left.firstIndex { scope in
                    guard let place = facts.claims[scope] else { return false }
                    let entry = try Entry(schema.entry(transaction, place.entry))
                    return try claims.isKey(key, ofScope: place.ordinal, in: entry, transaction, schema)
                }
            }
            guard let found else { continue }
            let scope = left.remove(at: found)
            rows[scope] = ScopeSlot.content(slot, of: scope, hasher)
        }
        // Where a key was that is destroyed, nothing tells any more.
        for scope in left where facts.erasing[scope] != nil { rows[scope] = [] }
        left.removeAll { facts.erasing[$0] != nil }
        guard left.isEmpty else {
            throw StartupRefusal(
                .damaged,
                "nobody can tell the data keys of \(left.count) scopes: no key there is opens what is sealed under them",
                advice: "Put a backup of the store in its place that is intact, and recover"
            )
        }
    }

    func write(_ transaction: borrowing WriteTransaction, _ schema: StoreSchema) throws {
        let sorted = rows.map { (key: StoreKey.stream($0), content: $1) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try transaction.clear(schema.scopes.database)
        try schema.scopes.begin(transaction)
        try schema.scopes.insert(transaction, ascending: sorted.count) { position, key, content in
            (key, content) = sorted[position]
        }
    }
}

/// What the entries say of scopes.
private struct ScopeFacts {
    /// Of each scope that must have a row since something is sealed under it: where that is first.
    private(set) var claims: [StreamID: (entry: UInt64, ordinal: Int)] = [:]
    /// The first entry that erases a scope.
    private(set) var erasing: [StreamID: UInt64] = [:]
    /// Recoveries that state scopes whose erasure came later.
    private let recoveries: Set<UInt64>
    /// All entries that erase it.
    private var erasures: [StreamID: Set<UInt64>] = [:]

    init(_ environment: Environment, _ schema: StoreSchema, _ walk: AuditWalk) throws {
        let lost = try environment.read { try schema.lostBefore(walk.identities.keyLosses, $0) }
        recoveries = Set(walk.identities.erasedScopes.keys)
        let pending = try environment.read { Set(try schema.pendingErasures($0)) }
        var next: UInt64 = 0
        while next < walk.size {
            let count = min(walk.size - next, 4_096)
            try environment.read { transaction in
                try transaction.forEach(schema.entries, from: next, count: Int(count)) { index, stored in
                    guard let stored else { throw StoreDamage(index, "the entry is missing") }
                    let entry = try Entry([UInt8](stored))
                    for (ordinal, scope) in entry.claims.enumerated() where index >= lost {
                        if claims[scope.scope] == nil { claims[scope.scope] = (index, ordinal) }
                    }
                    for scope in Erasing.scopes(namedBy: entry) where !pending.contains(index) {
                        if erasing[scope] == nil { erasing[scope] = index }
                        erasures[scope, default: []].insert(index)
                    }
                }
            }
            next += count
        }
    }

    /// The scopes that must have a row.
    var named: Set<StreamID> { Set(claims.keys).union(erasing.keys) }

    /// Whether a row of a scope may have this content.
    func allow(_ content: [UInt8], of scope: StreamID, _ hasher: SHA256Hasher) -> Bool {
        switch content.withUnsafeBytes({ ScopeRow($0, of: scope, hasher) }) {
        case .slot?: true
        case .erased(let entry?, _)?: erasures[scope]?.contains(entry) == true || recoveries.contains(entry)
        // Nothing of it says of which scope it is.
        case .erased(nil, _)?: true
        case nil: false
        }
    }
}

extension ScopeRow {
    /// The slot it states.
    fileprivate var slot: UInt64? {
        switch self {
        case .slot(let slot): slot
        case .erased(_, let slot): slot
        }
    }
}
