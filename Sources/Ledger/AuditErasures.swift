import JSON
import LMDB
import LedgerFormat

/// Which claims may be gone: what an event says was erased, and what was lost with a key (`ledger-format.md` section 10).
struct AuditErasures {
    /// Scopes that an event says were erased.
    private(set) var named: Set<StreamID> = []
    /// Where recoveries stand that say the keyring was lost.
    private var losses: [UInt64] = []
    /// First indexes of the chunks in which claims are gone.
    private var suspects: [UInt64] = []

    /// The scopes an entry says were erased.
    static func scopes(namedBy entry: Entry) -> [StreamID] {
        func streams(_ name: String) -> [StreamID] {
            entry.body[name]?.array?.compactMap { $0.string.flatMap { StreamID($0) } } ?? []
        }
        return switch entry.type {
        case "erasure.executed": streams("scopes")
        case "erasure.partial": streams("erased")
        case "evidence.destroyed": entry.streams.map(\.stream).filter { $0.kind == .object }
        default: []
        }
    }

    /// Takes what a chunk says.
    mutating func add(_ chunk: AuditChunk) {
        named.formUnion(chunk.erasures)
        if chunk.lacksClaims { suspects.append(chunk.first) }
        for (index, entry) in chunk.establishing where (try? Recovery(entry))?.reason == .keyLost {
            losses.append(index)
        }
    }

    /// Entries below this index lost their claims with a keyring. Such a loss leaves nothing that was sealed before it; so
    /// where anything is, the claims key was not lost, whatever the recovery says, and explains nothing that is gone.
    private func lostBefore(_ environment: Environment, _ schema: StoreSchema) throws -> UInt64 {
        guard !losses.isEmpty else { return 0 }
        let first = try environment.read { try $0.cursor(schema.sealed) { try $0.first()?.key.prefix(8) } }
        let oldest = first.flatMap { StoreKey.readNumber($0) } ?? .max
        return losses.last { $0 <= oldest } ?? 0
    }

    /// The entries whose claims are gone with no event that says so.
    func findings(_ environment: Environment, _ schema: StoreSchema, size: UInt64) throws -> [AuditFinding] {
        let lostBefore = try lostBefore(environment, schema)
        let chunks = suspects.filter { $0 + AuditChunk.entries > lostBefore }
        let found = Parallel.map(chunks.count) { _, position in
            Result { try examine(from: max(chunks[position], lostBefore), size: size, environment, schema) }
        }
        return try found.flatMap { try $0.get() }
    }

    /// Examines the entries of the chunk that `first` lies in, from there on.
    private func examine(
        from first: UInt64,
        size: UInt64,
        _ environment: Environment,
        _ schema: StoreSchema
    ) throws -> [AuditFinding] {
        let end = min((first / AuditChunk.entries + 1) * AuditChunk.entries, size)
        guard first < end else { return [] }
        return try environment.read { transaction in
            var findings: [AuditFinding] = []
            try transaction.forEach(schema.entries, from: first, count: Int(end - first)) { index, stored in
                guard let stored, let entry = try? Entry([UInt8](stored)) else { return }
                for (ordinal, scope) in entry.claims.enumerated() where !named.contains(scope.scope) {
                    guard findings.count < LedgerAudit.maximumFindings else { return }
                    if try schema.lacksClaims(of: scope.scope, index, ordinal, transaction) {
                        let what = "its claims under \(scope.scope) are gone, and no event says that they were erased"
                        findings.append(AuditFinding(index: index, what: what))
                    }
                }
            }
            return findings
        }
    }
}

extension StoreSchema {
    /// Whether the claims of an entry under a scope count as erased: its data key or what was sealed is gone.
    func lacksClaims(
        of scope: StreamID,
        _ index: UInt64,
        _ ordinal: Int,
        _ transaction: borrowing ReadTransaction
    ) throws -> Bool {
        let isKeyed = try scopes.stored(transaction, StoreKey.stream(scope)).map { !$0.isEmpty } ?? false
        let isSealed = try transaction.withValue(sealed, StoreKey.sealed(index: index, ordinal: ordinal)) { _ in true }
        return !isKeyed || isSealed == nil
    }
}
