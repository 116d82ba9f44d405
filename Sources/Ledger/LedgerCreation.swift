import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Creating a ledger, and beginning a new incarnation of one (`LedgerRecovery.swift`): the only two ways a first entry or
/// a lock come to be.
public enum LedgerCreation {
    /// Creates store and lock, with the first entry signed.
    ///
    /// - Parameter origin: names the ledger in its checkpoints; a schema-less URL of at most 200 bytes.
    /// - Parameter isInterrupted: asked at the end; where it says so, everything is taken back.
    /// - Returns: the verification key of the checkpoints.
    /// - Throws: `StartupRefusal`, and whatever the files can't be made for; nothing is left behind then.
    public static func create(
        at locations: LedgerLocations,
        origin: String,
        keyring: Keyring,
        isInterrupted: () -> Bool = { false }
    ) throws -> String {
        try checkFree(locations, origin: origin)
        var trace = CreationTrace(locations)
        do {
            let vkey = try create(at: locations, origin: origin, keyring: keyring, &trace)
            if isInterrupted() { throw SystemError("creating the ledger", errno: EINTR) }
            try trace.end()
            return vkey
        } catch {
            trace.undo()
            throw trace.words(error)
        }
    }

    private static func create(
        at locations: LedgerLocations,
        origin: String,
        keyring: Keyring,
        _ trace: inout CreationTrace
    ) throws -> String {
        let directory = try trace.makeDirectories()
        let signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: origin)
        let (environment, schema) = try StoreSchema.open(
            directory: directory,
            mapBytes: 16 << 20,
            readers: 16,
            create: true
        )
        let hold = try StoreHold(directory: directory)
        let clock = LedgerClock()
        let stream = StreamID(kind: .ledger, id: try ID128.fresh(now: clock.now))
        let submission = try SystemEvents.submission(
            "ledger.created",
            body: [
                "checkpoint_key": .string(signer.vkey), "format": .int(1), "origin": .string(origin),
                "suite": .string("sha256"),
            ],
            stream: stream,
            now: clock.now
        )
        let (entry, root) = try environment.write { transaction in
            try transaction.insert(schema.meta, StoreSchema.formatKey, StoreSchema.format)
            try transaction.insert(schema.meta, StoreSchema.newestCheckpointKey, StoreKey.number(0))
            return try append(submission, transaction, schema, ChainState(), now: clock.now) { try .genesis($0) }
        }
        try trace.publishStore()
        trace.willMakeLock()
        let checkpoint = Checkpoint(origin: origin, size: entry.index + 1, root: root)
        try writeLock(locations.lock, hold, 1, signer, checkpoint, 0)
        return signer.vkey
    }

    /// A wrong time would stay for good in a recovery as in any entry.
    static func requireBelievableClock(newest: LedgerTime) throws {
        let reading = LedgerClock().reading
        var policy = ClockPolicy(limits: LedgerSettings().clockLimits, newest: newest)
        guard case .held(let hold) = policy.judge(reading), !reading.isSynchronized else { return }
        throw StartupRefusal(
            .badClock,
            "\(hold), and nothing says that it is synchronised",
            advice: "Compare it with another one (date --utc); where it is right, give --confirm-clock"
        )
    }

    private static let noTime = StartupRefusal(
        .badClock,
        "the clock or the newest entry is past the year 9999, the last whose times can be written",
        advice: "Set the clock right"
    )

    /// Refuses an origin that can be none, a clock that says no time of the format, and paths where something is.
    public static func checkFree(_ locations: LedgerLocations, origin: String) throws {
        guard Checkpoint.isOrigin(origin), Recovery.origin(origin, incarnation: 1).utf8.elementsEqual(origin.utf8),
            FieldRule.pattern(.origin(FormatLimits.originBytes)).allows(.string(origin))
        else {
            throw StartupRefusal(
                .badOrigin,
                "'\(origin)' cannot be an origin",
                advice:
                    "Use a name such as example.com/ledger: ASCII letters, digits and ._:/- only, at most 200 bytes"
            )
        }
        guard ChainState().nextTime(LedgerClock().now) != nil else { throw noTime }
        if let conflict = locations.conflict() {
            throw StartupRefusal(.samePlace, conflict.rule, advice: "Choose other paths")
        }
        try CreationTrace(locations).removeRemains { directory in
            // Where a daemon has it, this refuses.
            let hold = try StoreHold(directory: directory)
            defer { withExtendedLifetime(hold) {} }
            let (environment, schema) = try StoreSchema.open(
                directory: directory,
                mapBytes: 16 << 20,
                readers: 16,
                create: false
            )
            return try environment.read { try schema.size($0) }
        }
        for path in [locations.store + "/data.mdb", locations.lock] where FileSystem.exists(path) {
            throw StartupRefusal(
                .alreadyExists,
                "\(path) exists",
                advice: "A ledger is never overwritten. Choose other paths, or move what is there away"
            )
        }
    }

    /// Writes the first entry of a store, or of an incarnation, and gives it with the root of the tree it ends.
    static func append(
        _ submission: Submission,
        _ transaction: borrowing WriteTransaction,
        _ schema: StoreSchema,
        _ state: ChainState,
        now: Int64,
        identity: (Entry) throws -> LedgerIdentity
    ) throws -> (Entry, Digest) {
        let memberships = try submission.streams.map {
            Entry.Membership(stream: $0, number: Int64(try schema.length(transaction, of: $0)))
        }
        guard let time = state.nextTime(now) else { throw noTime }
        let entry = Entry(
            index: state.size,
            previous: state.previous,
            time: time,
            submitter: SystemEvents.submitter,
            submission: submission,
            streams: memberships,
            claims: []
        )
        let bytes = entry.encoded
        var hasher = SHA256Hasher()
        var range = state.range
        var row: [UInt8] = []
        range.append(hasher.leaf(bytes), hasher: &hasher) { _, digest in digest.append(to: &row) }
        try transaction.append(schema.entries, number: entry.index, bytes.span)
        try transaction.append(schema.tree, number: entry.index, row.span)
        for membership in memberships {
            try transaction.insert(
                schema.streams,
                StoreKey.stream(membership.stream, number: UInt64(membership.number)),
                StoreKey.number(entry.index)
            )
        }
        try transaction.set(schema.meta, StoreSchema.identityKey, identity(entry).encoded)
        return (entry, range.root(&hasher))
    }

    /// Creates the lock with the checkpoint of the first entry.
    static func writeLock(
        _ path: String,
        _ hold: StoreHold,
        _ incarnation: Int64,
        _ signer: CheckpointSigner,
        _ checkpoint: Checkpoint,
        _ sequence: UInt64
    ) throws {
        let note = try SignedNote.signed(checkpoint.text, by: signer).encoded
        try CheckpointLock.create(path: path, store: hold) { places in
            LockRecord(sequence: sequence, incarnation: incarnation, vkey: signer.vkey, places: places, note: note)
        }
    }
}
