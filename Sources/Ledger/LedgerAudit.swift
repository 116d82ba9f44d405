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
    /// In the order they were found: entry by entry, then what only the whole shows.
    public let findings: [AuditFinding]

    public var isClean: Bool { findings.isEmpty }
}

/// Derives everything again from the entries, chain, leaf hashes, every tree node, streams, identity, checkpoints,
/// sealed claims and look-ups, and compares it with what is stored (`ledger-format.md` section 11). Writes nothing,
/// and may run beside the daemon: it audits the ledger as it stood when it began.
public enum LedgerAudit {
    /// An audit ends early after this many findings; what is damaged that much needs no longer list.
    public static let maximumFindings = 100

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
        let identity = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            return try? LedgerOpening.identity(transaction, schema)
        }
        var walk = AuditWalk()
        var lookups: LookupAudit?
        if let identity, !isCopy, FileSystem.exists(locations.index + "/data.mdb") {
            do {
                lookups = try LookupAudit(directory: locations.index, key: keyring?.indexKey, identity: identity)
            } catch {
                walk.found(nil, "the look-up index cannot be read: \(error)")
            }
        }
        // The look-up index before what it follows: beside the daemon it would else hold entries the audit knows not of.
        let totals = try environment.read { try AuditTotals($0, schema) }
        try examineEntries(&walk, environment, schema, totals, keyring, lookups, progress)
        if !walk.isFull {
            try environment.read { transaction in
                try walk.examineStreams(transaction, schema)
                try walk.examineScopes(transaction, schema)
                walk.examineRecoveries(transaction, schema)
            }
            if let lookups { try walk.examineRequests(lookups) }
            try recheck(&walk, environment, schema, totals, keyring, lookups)
            try examineCheckpoints(&walk, environment, schema, totals)
            walk.conclude(totals, identity: identity, lookups: lookups)
            if !isCopy {
                walk.compare(lock: lock, path: locations.lock) { size in
                    try environment.read { try schema.root($0, size: size) }
                }
            }
        }
        return walk.report(indexed: lookups?.indexed ?? 0)
    }

    /// Goes through the entries, chunk by chunk on all processors, and joins the chunks in their order.
    private static func examineEntries(
        _ walk: inout AuditWalk,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ totals: AuditTotals,
        _ keyring: Keyring?,
        _ lookups: LookupAudit?,
        _ progress: (UInt64, UInt64) -> Void
    ) throws {
        let workers = try (0..<Parallel.width).map { _ in
            AuditWorker(
                environment,
                schema,
                claims: try keyring.map { try SealedClaims(claimsKey: $0.claimsKey) },
                lookups: lookups
            )
        }
        // A few chunks for each thread, so that one that is late keeps nobody waiting for long.
        let wave = UInt64(Parallel.width * 4)
        var next: UInt64 = 0
        while next < totals.size, !walk.isFull {
            progress(next, totals.size)
            let first = next
            let count = min(wave, (totals.size - first + AuditChunk.entries - 1) / AuditChunk.entries)
            let chunks = Parallel.map(Int(count)) { thread, position in
                workers[thread].examine(from: first + UInt64(position) * AuditChunk.entries, size: totals.size)
            }
            for chunk in chunks where !walk.isFull { walk.join(chunk) }
            next = min(first + count * AuditChunk.entries, totals.size)
        }
        progress(next, totals.size)
    }

    /// Where streams or look-ups are not what the entries say as a whole, finds the entries where it shows.
    private static func recheck(
        _ walk: inout AuditWalk,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ totals: AuditTotals,
        _ keyring: Keyring?,
        _ lookups: LookupAudit?
    ) throws {
        guard walk.isStreamsSuspect || walk.isLookupSuspect || walk.isLookupPartial else { return }
        var claims = try keyring.map { try SealedClaims(claimsKey: $0.claimsKey) }
        var recheck = AuditRecheck(
            schema: schema,
            lookups: walk.isLookupSuspect || walk.isLookupPartial ? lookups : nil,
            streams: walk.isStreamsSuspect
        )
        var next: UInt64 = 0
        while next < totals.size, walk.findings.count + recheck.findings.count < maximumFindings {
            let end = min(next + 4_096, totals.size)
            try environment.read { transaction in
                for index in next..<end { try recheck.examine(index, transaction, &claims) }
            }
            next = end
        }
        for finding in recheck.findings { walk.found(finding.index, finding.what) }
        // What no entry shows is wrong all the same.
        if walk.isStreamsSuspect, !recheck.contradictsStreams {
            walk.found(nil, "the stream rows are not those the entries name")
        }
        if walk.isLookupSuspect, !recheck.contradictsLookups {
            walk.found(nil, "the look-up index does not hold what the entries say")
        }
    }

    private static func examineCheckpoints(
        _ walk: inout AuditWalk,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ totals: AuditTotals
    ) throws {
        let checkpoints = try AuditCheckpoints(
            environment,
            schema,
            walk.identities,
            size: totals.size,
            uncounted: totals.hasNewestCheckpoint ? 0 : totals.size
        )
        let sizes = checkpoints.sizes
        let parts = (sizes.count + AuditCheckpoints.chunk - 1) / AuditCheckpoints.chunk
        let results = Parallel.map(parts) { _, position in
            let begin = position * AuditCheckpoints.chunk
            return Result { try checkpoints.examine(sizes[begin..<min(begin + AuditCheckpoints.chunk, sizes.count)]) }
        }
        walk.checkpointRows = sizes.count
        for finding in checkpoints.disordered where !walk.isFull { walk.found(finding.index, finding.what) }
        for result in results {
            for finding in try result.get() where !walk.isFull { walk.found(finding.index, finding.what) }
        }
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
