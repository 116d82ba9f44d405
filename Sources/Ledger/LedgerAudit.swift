import Files
import Glibc
import Keys
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
    /// Claims whose scope's key was destroyed: erased, and rightly unreadable.
    public let erasedClaims: Int
    /// Claims that are gone in another way: given up with a lost keyring, or missing, which is a finding of its own.
    public let lostClaims: Int
    /// Entries the look-up index holds, all compared.
    public let indexed: UInt64
    /// Entries `system.recovered` that do not state the old lock's checkpoint: of what was signed before them, the ledger
    /// does not show how much there was. No findings, but to be known: checkpoints that others keep show it.
    public let unlockedRecoveries: [UInt64]
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
                access: isCopy ? .copy : .reading,
                checkPages: progress
            )
        }
        let identity = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            return try? LedgerOpening.identity(transaction, schema)
        }
        var lookups: LookupAudit?
        var unreadable: (any Error)?
        if let identity, !isCopy, FileSystem.exists(locations.index + "/data.mdb") {
            do {
                lookups = try LookupAudit(directory: locations.index, key: keyring?.indexKey, identity: identity)
            } catch  where !Shortage.isMeant(by: error) {
                unreadable = error
            }
        }
        var claimKeys: ClaimKeys?
        var unlocked: (any Error)?
        if let keyring {
            do {
                // Before the tree, which can only be newer then.
                let stored = try environment.read { try StoredKeys($0, schema) }
                claimKeys = try ClaimKeys(reading: locations.keys, keyring, stored)
            } catch let refusal as StartupRefusal where refusal.code == .keysMissing && isCopy {
                // They stay with the original: claims are counted only.
            } catch let missing as MissingAlgorithm {
                // Nothing is said of what this computer can't open.
                throw missing
            } catch  where !Shortage.isMeant(by: error) {
                unlocked = error
            }
        }
        // The look-up index before what it follows: beside the daemon it would else hold entries the audit knows not of.
        let audited = Audited(
            environment: environment,
            schema: schema,
            totals: try environment.read { try AuditTotals($0, schema) },
            identity: identity,
            claimKeys: claimKeys,
            lookups: lookups,
            isCopy: isCopy
        )
        var walk = AuditWalk(size: audited.totals.size)
        if let unlocked { walk.found(nil, "the key tree cannot be read: \(unlocked)") }
        if let unreadable { walk.found(nil, "the look-up index cannot be read: \(unreadable)") }
        try examine(audited, &walk, progress)
        if !walk.isFull {
            try environment.read { try walk.examineScopes($0, schema, audited.claimKeys?.tree.shape) }
            try walk.examineErasures(audited)
            if !isCopy {
                walk.compare(lock: lock, path: locations.lock) { size in
                    try environment.read { try schema.root($0, size: size) }
                }
            }
        }
        return walk.report(indexed: lookups?.indexed ?? 0)
    }

    /// Derives from the entries all that is signed and who signs, and compares it with what is stored: what whoever
    /// signs a store anew must know first. Sealed claims and look-ups are left out, nothing of them is signed.
    ///
    /// - Parameters:
    ///   - leavesOutStreams: the rows of streams are not compared: they are to be derived too.
    ///   - progress: entries done and in all.
    static func derive(
        _ environment: Environment,
        _ schema: StoreSchema,
        leavesOutStreams: Bool = false,
        progress: (UInt64, UInt64) -> Void
    ) throws -> AuditWalk {
        let audited = try environment.read { transaction in
            Audited(
                environment: environment,
                schema: schema,
                totals: try AuditTotals(transaction, schema),
                identity: try? LedgerOpening.identity(transaction, schema),
                claimKeys: nil,
                lookups: nil,
                leavesOutClaims: true,
                leavesOutStreams: leavesOutStreams
            )
        }
        var walk = AuditWalk(size: audited.totals.size)
        try examine(audited, &walk, progress)
        return walk
    }

    /// Compares the store with its entries.
    private static func examine(
        _ audited: Audited,
        _ walk: inout AuditWalk,
        _ progress: (UInt64, UInt64) -> Void
    ) throws {
        let (environment, schema) = (audited.environment, audited.schema)
        try examineEntries(audited, &walk, progress)
        guard !walk.isFull else { return }
        try environment.read { transaction in
            if !audited.leavesOutStreams { try walk.examineStreams(transaction, schema) }
            walk.examineRecoveries(transaction, schema)
        }
        walk.examineRequests(environment, schema)
        if let lookups = audited.lookups { try walk.examineLookups(lookups) }
        try recheck(audited, &walk)
        try walk.examineDocuments(audited)
        try examineCheckpoints(audited, &walk)
        walk.conclude(audited)
    }

    /// Goes through the entries, chunk by chunk on all processors, and joins the chunks in their order.
    private static func examineEntries(
        _ audited: Audited,
        _ walk: inout AuditWalk,
        _ progress: (UInt64, UInt64) -> Void
    ) throws {
        let size = audited.totals.size
        let workers = try (0..<Parallel.width).map { _ in try AuditWorker(audited) }
        // A few chunks for each thread, so that one that is late keeps nobody waiting for long.
        let wave = UInt64(Parallel.width * 4)
        var next: UInt64 = 0
        while next < size, !walk.isFull {
            progress(next, size)
            let first = next
            let count = min(wave, (size - first + AuditChunk.entries - 1) / AuditChunk.entries)
            let chunks = Parallel.map(Int(count)) { thread, position in
                workers[thread].examine(from: first + UInt64(position) * AuditChunk.entries, size: size)
            }
            for chunk in chunks where !walk.isFull { walk.join(chunk) }
            next = min(first + count * AuditChunk.entries, size)
        }
        progress(next, size)
    }

    /// Where streams or look-ups are not what the entries say as a whole, finds the entries where it shows.
    private static func recheck(_ audited: Audited, _ walk: inout AuditWalk) throws {
        guard walk.isStreamsSuspect || walk.isLookupSuspect || walk.isLookupPartial else { return }
        var recheck = AuditRecheck(
            schema: audited.schema,
            lookups: walk.isLookupSuspect || walk.isLookupPartial ? audited.lookups : nil,
            streams: walk.isStreamsSuspect
        )
        var next: UInt64 = 0
        while next < audited.totals.size, walk.findings.count + recheck.findings.count < maximumFindings {
            let end = min(next + 4_096, audited.totals.size)
            try audited.environment.read { transaction in
                for index in next..<end { try recheck.examine(index, transaction) }
            }
            next = end
        }
        for finding in recheck.findings { walk.found(finding.index, finding.what) }
        // What no entry shows is wrong all the same.
        if walk.isStreamsSuspect, !recheck.contradictsStreams {
            walk.found(nil, "the stream rows are not those the entries name, or do not name one another")
        }
        if walk.isLookupSuspect, !walk.isLookupDamaged, !recheck.contradictsLookups {
            walk.found(nil, "the look-up index does not hold what the entries say")
        }
    }

    private static func examineCheckpoints(_ audited: Audited, _ walk: inout AuditWalk) throws {
        let checkpoints = try AuditCheckpoints(audited.environment, audited.schema, walk.identities, audited.totals)
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

/// What an audit looks at.
struct Audited {
    let environment: Environment
    let schema: StoreSchema
    let totals: AuditTotals
    /// The stored identity; nil where there is none to be read.
    let identity: LedgerIdentity?
    /// Opens sealed claims; without it they are only counted.
    let claimKeys: ClaimKeys?
    let lookups: LookupAudit?
    /// Whether the rows of sealed claims are not compared.
    var leavesOutClaims = false
    /// Whether the rows of streams are not.
    var leavesOutStreams = false
    /// Whether it is a copy of the store, which may be older than the key tree.
    var isCopy = false

    func sealedClaims() throws -> SealedClaims? {
        try claimKeys.map { try SealedClaims($0, losses: .audited) }
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
    /// The size of the newest checkpoint row, as the store says; nil where it does not.
    let newestCheckpoint: UInt64?

    init(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws {
        size = UInt64(try transaction.count(schema.entries))
        tree = try transaction.count(schema.tree)
        streams = try schema.streams.count(transaction)
        sealed = try transaction.count(schema.sealed)
        checkpoints = try transaction.count(schema.checkpoints)
        newestCheckpoint = try schema.newestCheckpoint(transaction)
        hasNewestCheckpoint = try transaction.get(schema.checkpoints, StoreKey.number(size)) != nil
    }
}
