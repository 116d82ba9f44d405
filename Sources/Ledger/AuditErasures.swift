import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// Which claims may be gone: what an event says was erased, and what was lost with a key (`ledger-format.md` section 10).
struct AuditErasures {
    /// Scopes that an event says were erased, and the first one that does.
    private var named: [StreamID: UInt64] = [:]
    /// Those of which a recovery says that they were, in what came after the store it took over.
    private var unseen: Set<StreamID> = []
    /// Where recoveries stand that say the keyring was lost.
    private var losses: [UInt64] = []
    /// First indexes of the chunks in which claims are gone.
    private var suspects: [UInt64] = []

    /// Takes what a chunk says, which follows those taken.
    ///
    /// - Returns: the entries of it that have claims under a scope an earlier one erased.
    mutating func add(_ chunk: AuditChunk) -> [AuditFinding] {
        for (index, scope) in chunk.erasures where named[scope] == nil { named[scope] = index }
        if chunk.lacksClaims { suspects.append(chunk.first) }
        for (index, entry) in chunk.establishing where (try? Recovery(entry))?.reason == .keyLost {
            losses.append(index)
        }
        guard !named.isEmpty else { return [] }
        return chunk.claimed.compactMap { index, scope in
            guard let erased = named[scope], erased < index else { return nil }
            return AuditFinding(index: index, what: "has claims under \(scope), which entry \(erased) erased")
        }
    }

    /// Takes scopes of which a recovery states that they were erased, as their rows say.
    mutating func explain(_ scopes: [StreamID]) { unseen.formUnion(scopes) }

    /// The entries whose claims are gone with no event that says so.
    ///
    /// - Parameter isCopy: the store may be older than the key tree, which knows of erasures that came after it.
    func findings(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ keys: ClaimKeys?,
        size: UInt64,
        isCopy: Bool
    ) throws -> [AuditFinding] {
        let lostBefore = try environment.read { try schema.lostBefore(losses, $0) }
        let chunks = suspects.filter { $0 + AuditChunk.entries > lostBefore }
        let isOlder =
            isCopy ? try keys.map { try $0.tree.epoch > environment.read { try schema.keyEpoch($0) } } ?? false : false
        let found = Parallel.map(chunks.count) { _, position in
            Result {
                let first = max(chunks[position], lostBefore)
                let gone = try examine(from: first, size: size, environment, schema, keys)
                return try unsaid(gone, environment, schema, size: size, isOlder: isOlder)
                    .prefix(LedgerAudit.maximumFindings).map(\.finding)
            }
        }
        return try found.flatMap { try $0.get() }
    }

    /// Those of which nothing at all says that they were erased.
    ///
    /// - Parameter isOlder: the store is a copy from before erasures that the key tree knows of.
    private func unsaid(
        _ gone: [Gone],
        _ environment: Environment,
        _ schema: StoreSchema,
        size: UInt64,
        isOlder: Bool
    ) throws -> [Gone] {
        guard gone.contains(where: \.isErased) else { return gone }
        if isOlder { return gone.filter { !$0.isErased || $0.isSaidByStore } }
        // An event is recorded before what it says is done: whatever was seen to be done since the audit began, an entry
        // beyond those it goes through says by now.
        let later = try environment.read { try schema.erased(since: size, $0) }
        return gone.filter { !$0.isErased || !later.contains($0.scope) }
    }

    /// Claims that are gone, and no event that was audited says so.
    private struct Gone {
        let finding: AuditFinding
        let scope: StreamID
        /// Whether there is no key for them any more.
        var isErased = false
        /// Whether the store says so, and not only the key tree.
        var isSaidByStore = false
    }

    /// Examines the entries of the chunk that `first` lies in, from there on.
    private func examine(
        from first: UInt64,
        size: UInt64,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ keys: ClaimKeys?
    ) throws -> [Gone] {
        let end = min((first / AuditChunk.entries + 1) * AuditChunk.entries, size)
        guard first < end else { return [] }
        let hasher = SHA256Hasher()
        return try environment.read { transaction in
            var gone: [Gone] = []
            try transaction.forEach(schema.entries, from: first, count: Int(end - first)) { index, stored in
                guard let stored, let entry = try? Entry([UInt8](stored)) else { return }
                for (ordinal, scope) in entry.claims.enumerated() {
                    if let one = try unexplained(scope.scope, index, ordinal, transaction, schema, keys, hasher) {
                        gone.append(one)
                    }
                }
            }
            return gone
        }
    }

    /// What is wrong with the claims of an entry under a scope; nil where they are there, or an event says that they were
    /// erased.
    private func unexplained(
        _ scope: StreamID,
        _ index: UInt64,
        _ ordinal: Int,
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ keys: ClaimKeys?,
        _ hasher: SHA256Hasher
    ) throws -> Gone? {
        func gone(_ what: String) -> Gone { Gone(finding: AuditFinding(index: index, what: what), scope: scope) }
        switch try schema.claimsState(of: scope, index, ordinal, transaction, keys, hasher) {
        case .erased where named[scope] == nil && !unseen.contains(scope):
            var gone = gone("its claims under \(scope) are gone, and no event says that they were erased")
            gone.isErased = true
            gone.isSaidByStore =
                try schema.scopes.stored(transaction, StoreKey.stream(scope)).map { $0.count <= 8 } ?? true
            return gone
        // An erasure empties the row of the scope's key and takes none away: no event explains this.
        case .missing, .keyless:
            return gone("its claims under \(scope) are missing, and the key of that scope was not erased")
        case .erased, .sealed: return nil
        }
    }
}

/// What the store has of the claims of an entry under a scope.
enum ClaimsState {
    /// The key of their scope, and what was sealed.
    case sealed
    /// A row of the scope that says so, or a slot whose key was destroyed.
    case erased
    /// A row that says that it was erased and had no key then, or one of a tree that was given up since.
    case keyless
    /// No row of the scope, or none of what was sealed.
    case missing
}

extension StoreSchema {
    /// The scopes that entries from an index on say are erased.
    fileprivate func erased(since first: UInt64, _ transaction: borrowing ReadTransaction) throws -> Set<StreamID> {
        var scopes: Set<StreamID> = []
        let size = try self.size(transaction)
        guard first < size else { return scopes }
        try transaction.forEach(entries, from: first, count: Int(size - first)) { _, stored in
            guard let stored, let entry = try? Entry([UInt8](stored)) else { return }
            scopes.formUnion(Erasing.scopes(namedBy: entry))
        }
        return scopes
    }

    /// - Parameter keys: without them, that a slot's key was destroyed isn't seen.
    func claimsState(
        of scope: StreamID,
        _ index: UInt64,
        _ ordinal: Int,
        _ transaction: borrowing ReadTransaction,
        _ keys: ClaimKeys?,
        _ hasher: SHA256Hasher
    ) throws -> ClaimsState {
        guard let row = try scopes.stored(transaction, StoreKey.stream(scope)) else { return .missing }
        guard row.count == ScopeSlot.bytes else { return row.count == 8 ? .keyless : .erased }
        if let keys, case .slot(let slot)? = row.withUnsafeBytes({ ScopeRow($0, of: scope, hasher) }),
            try keys.tree.shape.isErased(slot) == true
        {
            return .erased
        }
        let isSealed = try transaction.withValue(sealed, StoreKey.sealed(index: index, ordinal: ordinal)) { _ in true }
        return isSealed == nil ? .missing : .sealed
    }
}
