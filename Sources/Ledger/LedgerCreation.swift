import Files
import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
public import OpenSSL

/// Creating a ledger, and beginning a new incarnation of one (`LedgerRecovery.swift`): the only two ways a first entry or
/// a lock come to be.
public enum LedgerCreation {
    /// Creates store and lock, with the first entry signed.
    ///
    /// Nothing that exists is overwritten. What an earlier call left that was cut off is taken away where nothing was
    /// signed yet; otherwise that creation is gone on with, if origin and key are the same.
    ///
    /// - Parameters:
    ///   - origin: names the ledger in its checkpoints; a schema-less URL of at most 200 bytes.
    ///   - suite: what its keys and claims are sealed with, for as long as it has these keys.
    ///   - keyring: path of the keyring, which is made where there is none.
    ///   - isInterrupted: asked before anything is signed; where it says so, everything is taken back.
    /// - Returns: the verification key of the checkpoints, and whether the keyring was made.
    /// - Throws: `StartupRefusal`; `MissingAlgorithm` where libcrypto lacks what the suite needs; and whatever the files can't
    ///   be made for. Nothing is left behind then, but by `.unfinished`: its first checkpoint is signed.
    public static func create(
        at locations: LedgerLocations,
        origin: String,
        suite: CipherSuite,
        keyring path: String,
        isInterrupted: () -> Bool
    ) throws -> (vkey: String, isKeyringNew: Bool) {
        if let conflict = locations.conflict(keyring: path) { throw refusal(conflict) }
        let directory = FileSystem.parent(of: try FileSystem.target(of: path))
        var isKeyringNew = false
        let vkey = try create(
            at: locations,
            origin: origin,
            suite: suite,
            holding: directory,
            isInterrupted: isInterrupted
        ) { trace in
            isKeyringNew = !FileSystem.exists(path)
            return try trace.keyring(path)
        }
        return (vkey, isKeyringNew)
    }

    /// The same, with a keyring that is no file yet, or needs no care.
    static func create(
        at locations: LedgerLocations,
        origin: String,
        suite: CipherSuite = .aes,
        keyring: Keyring
    ) throws -> String {
        try create(at: locations, origin: origin, suite: suite, holding: nil, isInterrupted: { false }) { _ in keyring }
    }

    /// Runs `body` while no other creation or recovery uses the directory of a keyring.
    ///
    /// - Throws: `StartupRefusal` `.inUse` where one does and doesn't end; what `body` throws.
    public static func holding<Result>(keyring path: String, _ body: () throws -> Result) throws -> Result {
        let directory = FileSystem.parent(of: try FileSystem.target(of: path))
        let deadline = LedgerClock.steadySeconds + Int64(patienceSeconds)
        var hold: DirectoryHold?
        // Where another directory took the place of the one that was waited for, that one is what counts.
        while hold == nil { hold = try DirectoryHold([], directory, until: deadline) { false } }
        return try withExtendedLifetime(hold, body)
    }

    /// How long another creation or recovery in the same directories is waited for.
    private static let patienceSeconds = 10

    private static func create(
        at locations: LedgerLocations,
        origin: String,
        suite: CipherSuite,
        holding directory: String?,
        isInterrupted: () -> Bool,
        keyring: (inout CreationTrace) throws -> Keyring
    ) throws -> String {
        try check(locations, origin: origin)
        try suite.requireAlgorithms()
        var trace = try CreationTrace(locations)
        do {
            try trace.begin(directory, waiting: patienceSeconds, isInterrupted: isInterrupted)
            let unfinished = try trace.unfinished()
            if unfinished == nil { try trace.requireFree() }
            let ring = try keyring(&trace)
            let signer = try CheckpointSigner(seed: ring.checkpointSeed, origin: origin)
            if let unfinished {
                try requireSame(unfinished, signer, suite)
                trace.noteSigned()
            } else {
                try make(signer, keyTree: trace.keyTree(ring, suite), &trace, isInterrupted: isInterrupted)
            }
            try trace.end()
            return signer.vkey
        } catch {
            trace.undo()
            throw trace.words(error)
        }
    }

    /// Refuses to go on with a creation under another origin, key or suite, or of a ledger that was used since.
    private static func requireSame(
        _ unfinished: CreationTrace.Unfinished,
        _ signer: CheckpointSigner,
        _ suite: CipherSuite
    ) throws {
        let (environment, schema) = try StoreSchema.open(
            directory: unfinished.directory,
            mapBytes: 16 << 20,
            readers: 16,
            create: false,
            access: .copy
        )
        try environment.read { transaction in
            let identity = try LedgerOpening.identity(transaction, schema)
            guard try schema.size(transaction) == 1 else {
                throw StartupRefusal(
                    .alreadyExists,
                    "there is a ledger at \(unfinished.directory)",
                    advice: "A ledger is never overwritten. Choose other paths, or move what is there away"
                )
            }
            guard signer.vkey.utf8.elementsEqual(identity.vkey.utf8),
                let locked = try? unfinished.lock.checkpoint(verifiedBy: signer.vkey),
                try locked.size == 1 && locked.root == schema.root(transaction, size: 1)
            else {
                throw StartupRefusal(
                    .unfinished,
                    """
                    the creation of the ledger '\(identity.origin)' was cut off at \(unfinished.directory), and its \
                    first entry is signed under the key \(identity.vkey)
                    """,
                    advice: """
                        What is signed is never taken back. Run 'evidence init' with that origin and the keyring of \
                        that key, which goes on from there; or choose other paths
                        """
                )
            }
            let made = try schema.keyTree(transaction).suite
            guard made == suite else {
                throw StartupRefusal(
                    .unfinished,
                    """
                    the creation of the ledger '\(identity.origin)' was cut off at \(unfinished.directory), and its keys \
                    are of the suite \(made.rawValue)
                    """,
                    advice: """
                        Its first entry is signed, and what is signed is never taken back. Run 'evidence init' with that \
                        suite, which goes on from there; or choose other paths
                        """
                )
            }
        }
    }

    /// Makes the store, under no name yet, and signs it with the lock.
    private static func make(
        _ signer: CheckpointSigner,
        keyTree: NamedTree,
        _ trace: inout CreationTrace,
        isInterrupted: () -> Bool
    ) throws {
        let directory = try trace.makePartial()
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
                "checkpoint_key": .string(signer.vkey), "format": .int(1), "origin": .string(signer.name),
                "suite": .string("sha256"),
            ],
            stream: stream,
            now: clock.now
        )
        let (entry, root) = try environment.write { transaction in
            try transaction.insert(schema.meta, StoreSchema.formatKey, StoreSchema.format)
            try transaction.insert(schema.meta, StoreSchema.newestCheckpointKey, StoreKey.number(0))
            try schema.setKeyTree(keyTree, transaction)
            try schema.setNextSlot(0, transaction)
            try schema.setPendingErasures([], transaction)
            try schema.setKeyEpoch(1, transaction)
            try schema.streams.begin(transaction)
            try schema.scopes.begin(transaction)
            return try append(submission, transaction, schema, ChainState(), now: clock.now) { try .genesis($0) }
        }
        try trace.settlePartial()
        guard !isInterrupted() else { throw SystemError("creating the ledger", errno: EINTR) }
        let checkpoint = Checkpoint(origin: signer.name, size: entry.index + 1, root: root)
        let note = try SignedNote.signed(checkpoint.text, by: signer).encoded
        try CheckpointLock.create(path: trace.lock, store: hold, placed: { trace.noteSigned() }) { places in
            LockRecord(sequence: 0, incarnation: 1, vkey: signer.vkey, places: places, note: note)
        }
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

    /// Refuses an origin that can be none, a clock that says no time of the format, and paths that are in each other's
    /// way.
    private static func check(_ locations: LedgerLocations, origin: String) throws {
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
        if let conflict = locations.conflict() { throw refusal(conflict) }
    }

    private static func refusal(_ conflict: LedgerLocations.Conflict) -> StartupRefusal {
        StartupRefusal(.samePlace, conflict.rule, advice: "Choose other paths")
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
        try schema.streams.insert(transaction, ascending: memberships.count) { position, key, content in
            let membership = memberships[position]
            StoreKey.stream(membership.stream, number: UInt64(membership.number), in: &key)
            StoreKey.number(entry.index, in: &content)
        }
        try transaction.set(schema.meta, StoreSchema.identityKey, identity(entry).encoded)
        return (entry, range.root(&hasher))
    }
}
