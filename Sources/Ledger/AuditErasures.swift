import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// Which claims may be gone: what an event says was erased, and what was lost with a key (`ledger-format.md` section 10).
struct AuditErasures {
    /// Scopes that an event says were erased.
    private(set) var named: Set<StreamID> = []
    /// Where recoveries stand that say the keyring was lost.
    private var losses: [UInt64] = []
    /// First indexes of the chunks in which claims are gone.
    private var suspects: [UInt64] = []

    /// Takes what a chunk says.
    mutating func add(_ chunk: AuditChunk) {
        named.formUnion(chunk.erasures)
        if chunk.lacksClaims { suspects.append(chunk.first) }
        for (index, entry) in chunk.establishing where (try? Recovery(entry))?.reason == .keyLost {
            losses.append(index)
        }
    }

    /// The entries whose claims are gone with no event that says so.
    func findings(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ keys: ClaimKeys?,
        size: UInt64
    ) throws -> [AuditFinding] {
        let lostBefore = try environment.read { try schema.lostBefore(losses, $0) }
        let chunks = suspects.filter { $0 + AuditChunk.entries > lostBefore }
        let found = Parallel.map(chunks.count) { _, position in
            Result { try examine(from: max(chunks[position], lostBefore), size: size, environment, schema, keys) }
        }
        return try found.flatMap { try $0.get() }
    }

    /// Examines the entries of the chunk that `first` lies in, from there on.
    private func examine(
        from first: UInt64,
        size: UInt64,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ keys: ClaimKeys?
    ) throws -> [AuditFinding] {
        let end = min((first / AuditChunk.entries + 1) * AuditChunk.entries, size)
        guard first < end else { return [] }
        return try environment.read { transaction in
            var findings: [AuditFinding] = []
            try transaction.forEach(schema.entries, from: first, count: Int(end - first)) { index, stored in
                guard let stored, let entry = try? Entry([UInt8](stored)) else { return }
                for (ordinal, scope) in entry.claims.enumerated() {
                    guard findings.count < LedgerAudit.maximumFindings else { return }
                    if let what = try unexplained(scope.scope, index, ordinal, transaction, schema, keys) {
                        findings.append(AuditFinding(index: index, what: what))
                    }
                }
            }
            return findings
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
        _ keys: ClaimKeys?
    ) throws -> String? {
        switch try schema.claimsState(of: scope, index, ordinal, transaction, keys) {
        case .erased where !named.contains(scope):
            "its claims under \(scope) are gone, and no event says that they were erased"
        // An erasure empties the row of the scope's key and takes none away: no event explains this.
        case .missing: "its claims under \(scope) are missing, and the key of that scope was not erased"
        case .erased, .sealed: nil
        }
    }
}

/// What the store has of the claims of an entry under a scope.
enum ClaimsState {
    /// The key of their scope, and what was sealed.
    case sealed
    /// A row of the scope that says so, or a slot whose key was destroyed.
    case erased
    /// No row of the scope, or none of what was sealed.
    case missing
}

extension StoreSchema {
    /// - Parameter keys: without them, that a slot's key was destroyed isn't seen.
    func claimsState(
        of scope: StreamID,
        _ index: UInt64,
        _ ordinal: Int,
        _ transaction: borrowing ReadTransaction,
        _ keys: ClaimKeys?
    ) throws -> ClaimsState {
        guard let row = try scopes.stored(transaction, StoreKey.stream(scope)) else { return .missing }
        guard row.count == ScopeSlot.bytes else { return .erased }
        if let keys, case .slot(let slot)? = row.withUnsafeBytes({ ScopeRow($0, of: scope, SHA256Hasher()) }),
            try keys.tree.shape.isErased(slot) == true
        {
            return .erased
        }
        let isSealed = try transaction.withValue(sealed, StoreKey.sealed(index: index, ordinal: ordinal)) { _ in true }
        return isSealed == nil ? .missing : .sealed
    }
}
