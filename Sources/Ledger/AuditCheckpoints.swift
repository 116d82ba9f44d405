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
    /// Rows that do not follow the one before them, of which a look-up may miss some, and rows that are missing.
    let disordered: [AuditFinding]

    /// - Parameter totals: those of the snapshot that is audited; rows that came later are not looked at.
    init(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ identities: IdentityHistory,
        _ totals: AuditTotals
    ) throws {
        self.environment = environment
        self.schema = schema
        self.identities = identities
        var sizes: [UInt64] = []
        var disordered: [AuditFinding] = []
        let size = totals.size
        let uncounted = totals.hasNewestCheckpoint ? 0 : size
        try environment.read { transaction in
            try transaction.forEach(schema.checkpoints) { key, value in
                guard let found = StoreKey.readNumber(key), found > 0, found <= size, found != uncounted else { return }
                let last = sizes.last ?? 0
                if found <= last {
                    let what = "the checkpoint row of size \(found) stands behind that of \(last)"
                    disordered.append(AuditFinding(index: found - 1, what: what))
                } else if StoreKey.readNumber(value.prefix(8)) != last {
                    let what =
                        "the checkpoint row of size \(found) does not name that of size \(last) as the one before"
                    disordered.append(AuditFinding(index: found - 1, what: what))
                }
                sizes.append(found)
            }
        }
        func missing(_ what: String) { disordered.append(AuditFinding(index: nil, what: what)) }
        switch totals.newestCheckpoint {
        case nil: missing("the store does not say which checkpoint row is the newest")
        case let newest? where newest != sizes.last ?? 0:
            missing("the newest checkpoint row is of size \(sizes.last ?? 0), where the store says \(newest)")
        default: break
        }
        // The first checkpoint is that of entry 0 alone; only one lost with its lock was never kept.
        if size > 1, sizes.first != 1, !identities.hasRecovery(at: 1) {
            missing("the checkpoint row of size 1 is missing")
        }
        for locked in identities.lockedSizes where !sizes.contains(locked) {
            missing("the checkpoint row of size \(locked), of a lock that a recovery names, is missing")
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
