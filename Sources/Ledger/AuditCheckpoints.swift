import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The signed checkpoints of an audit. Their roots are made of tree rows that were compared with the entries before.
struct AuditCheckpoints: Sendable {
    /// Sizes that one thread verifies at once.
    static let chunk = 512
    private let environment: Environment
    private let schema: StoreSchema
    private let identities: IdentityHistory
    /// The sizes with a row, as they stand.
    let sizes: [UInt64]
    /// Rows that do not follow the one before them: a look-up may miss them, or find another of the same size.
    let disordered: [AuditFinding]

    /// - Parameter uncounted: the size whose row came after the totals were taken; 0 where there is none.
    init(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ identities: IdentityHistory,
        size: UInt64,
        uncounted: UInt64
    ) throws {
        self.environment = environment
        self.schema = schema
        self.identities = identities
        var sizes: [UInt64] = []
        var disordered: [AuditFinding] = []
        try environment.read { transaction in
            try transaction.forEach(schema.checkpoints) { key, _ in
                guard let found = StoreKey.readNumber(key), found > 0, found <= size, found != uncounted else { return }
                if let last = sizes.last, found <= last {
                    let what = "the checkpoint row of size \(found) stands behind that of \(last)"
                    disordered.append(AuditFinding(index: found - 1, what: what))
                }
                sizes.append(found)
            }
        }
        self.sizes = sizes
        self.disordered = disordered
    }

    /// Verifies some of the sizes.
    func examine(_ part: ArraySlice<UInt64>) throws -> [AuditFinding] {
        var hasher = SHA256Hasher()
        return try environment.read { transaction in
            var findings: [AuditFinding] = []
            for size in part {
                do {
                    let root = try schema.compactRange(transaction, size: size).root(&hasher)
                    guard let note = try schema.note(transaction, size: size, root: root) else {
                        throw StoreDamage(nil, "a look-up does not find its row")
                    }
                    try identities.verify(note)
                } catch {
                    findings.append(
                        AuditFinding(
                            index: size - 1,
                            what: "the checkpoint signed at size \(size) does not hold: \(error)"
                        )
                    )
                }
            }
            return findings
        }
    }
}
