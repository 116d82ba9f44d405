import Glibc
import LMDB
import LedgerFormat
public import Merkle
import OpenSSL

/// One contradiction an audit found.
public struct AuditFinding: Sendable, Equatable, CustomStringConvertible {
    /// The entry it belongs to, if it is one entry's.
    public let index: UInt64?
    public let what: String

    public var description: String { index.map { "entry \($0): \(what)" } ?? what }
}

/// What an audit covered and found.
public struct AuditReport: Sendable {
    public let origin: String
    public let incarnation: Int64
    /// Entries re-derived.
    public let size: UInt64
    /// Root of the tree re-derived from them.
    public let root: Digest
    /// Checkpoint signatures that were compared.
    public let checkpoints: Int
    /// Claims opened and compared with their commitments; 0 without a keyring.
    public let openedClaims: Int
    /// Claims whose key is gone: erased, and rightly unreadable.
    public let erasedClaims: Int
    /// Entries the look-up index holds, all compared.
    public let indexed: UInt64
    /// In the order they were found; the first with an index is the first damaged entry.
    public let findings: [AuditFinding]

    public var isClean: Bool { findings.isEmpty }
}

/// Derives everything again from the entries, chain, leaf hashes, every tree node, streams, identity, checkpoints,
/// sealed claims and look-ups, and compares it with what is stored (`ledger-format.md` section 11). Writes nothing,
/// and may run beside the daemon: it audits the ledger as it stood when it began.
public enum LedgerAudit {
    /// An audit ends early after this many findings; what is damaged that much needs no longer list.
    public static let maximumFindings = 100
    private static let chunk: UInt64 = 4_096

    /// - Parameters:
    ///   - keyring: opens sealed claims; without it they are only counted.
    ///   - isCopy: the store is a backup or copy, whose checkpoint lock stayed with the original and is not compared.
    ///   - progress: pages, then entries, done and in all.
    /// - Throws: `StartupRefusal` where there is no ledger to audit, `StoreDamage` where its file can't be followed.
    public static func run(
        at locations: LedgerLocations,
        keyring: Keyring?,
        isCopy: Bool = false,
        progress: (UInt64, UInt64) -> Void
    ) throws -> AuditReport {
        guard FileSystem.exists(locations.store + "/data.mdb") else {
            throw StartupRefusal(
                .noLedger,
                "there is no ledger at \(locations.store)",
                advice: "Name the directory that holds data.mdb"
            )
        }
        // The lock is read before the store: the store it was written after can only be newer.
        let lock = try? CheckpointLock.peek(locations.lock)
        let (environment, schema) = try withoutActuallyEscaping(progress) { progress in
            try StoreSchema.open(
                directory: locations.store,
                mapBytes: 1 << 20,
                readers: 126,
                create: false,
                readOnly: true,
                checkPages: progress
            )
        }
        var walk = AuditWalk(
            schema: schema,
            claims: try keyring.map { try SealedClaims(claimsKey: $0.claimsKey) },
            lockedSize: try? lock?.checkpoint().1.size
        )
        let (totals, identity) = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            return (
                try AuditTotals(transaction, schema), try? LedgerOpening.identity(transaction, schema)
            )
        }
        walk.begin(totals)
        if let identity, !isCopy { walk.openIndex(locations.index, key: keyring?.indexKey, identity: identity) }
        var next: UInt64 = 0
        while next < totals.size, walk.findings.count < maximumFindings {
            let end = min(next + chunk, totals.size)
            progress(next, totals.size)
            // A short transaction each, so that an audit of hours doesn't keep the daemon from reusing pages.
            try environment.read { transaction in
                for index in next..<end where walk.findings.count < maximumFindings {
                    walk.examine(index, transaction)
                }
            }
            next = end
        }
        progress(next, totals.size)
        if walk.findings.count < maximumFindings {
            try environment.read { try walk.examineScopes($0) }
            walk.conclude(totals, identity: identity)
            if !isCopy { walk.compare(lock: lock, path: locations.lock) }
        }
        return walk.report()
    }
}

/// How many rows each database has, all of one snapshot.
struct AuditTotals {
    let size: UInt64
    let tree: Int
    let streams: Int
    let sealed: Int
    let checkpoints: Int
    /// Whether the checkpoint of the whole size has its row already; the daemon adds it with the next commit.
    let hasNewestCheckpoint: Bool

    init(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws {
        size = UInt64(try transaction.count(schema.entries))
        tree = try transaction.count(schema.tree)
        streams = try transaction.count(schema.streams)
        sealed = try transaction.count(schema.sealed)
        checkpoints = try transaction.count(schema.checkpoints)
        hasNewestCheckpoint = try transaction.get(schema.checkpoints, StoreKey.number(size)) != nil
    }
}
