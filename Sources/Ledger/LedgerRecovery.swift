import Files
import Glibc
import JSON
import LMDB
public import LedgerFormat
import Merkle
public import OpenSSL

extension LedgerCreation {
    /// Ends the incarnation a store belongs to and begins the next, with a new key and origin, so that whatever was
    /// signed before can never be contradicted under the same name. Writes `system.recovered` and a new lock.
    ///
    /// Before it signs anything, everything that is signed is derived from the entries again, and compared with the old
    /// lock and with each checkpoint the store keeps: a new incarnation is no way to have another history signed.
    ///
    /// Where the store's last entry already begins an incarnation under the new keyring's key, whose lock an earlier call
    /// did not come to write, that is ended instead.
    ///
    /// - Parameters:
    ///   - old: the keyring with the key in force, which signs that the new key follows it (`ledger-format.md` section
    ///     6, "Succession"); not used, and may be nil, where the reason is that the key was lost.
    ///   - keyring: the keyring with the new checkpoint key.
    ///   - suite: of the key tree that is made where the keys are lost; nil for that of the one there was.
    ///   - held: what others keep of what was signed. Must be stated where the old lock can't be read.
    ///   - isClockConfirmed: the operator vouches for the clock, which may be far after the newest entry then.
    ///   - progress: pages, then entries, done and in all.
    /// - Throws: `StartupRefusal`: `.keyMismatch` where the new keyring has the key in force; `.notInForce` where the old
    ///   one has not; `.badKeyring` where the new keyring is not the one the claims were sealed under. The latter two not
    ///   where the reason is that the key was lost: what was sealed under it is erased then. `.damaged` where the store
    ///   is not what its entries say, `.otherRoot` where it is not what the old lock or a held checkpoint says,
    ///   `.lockDamaged` where the lock's note does not hold and the reason is not that; `.checkpointMissing`,
    ///   `.checkpointInvalid`, `.olderThanCheckpoint` for what is held.
    ///   `MissingAlgorithm` where libcrypto lacks what the suite needs.
    /// - Returns: the incarnation that ended; incarnation and verification key from now on.
    public static func beginIncarnation(
        at locations: LedgerLocations,
        old oldKeyring: Keyring?,
        keyring: Keyring,
        reason: Recovery.Reason,
        suite: CipherSuite? = nil,
        held: HeldCheckpoints = .unstated,
        isClockConfirmed: Bool = false,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws -> (ended: Int64, incarnation: Int64, vkey: String) {
        // Holding the store, and the old lock where there is an intact one, keeps a running daemon safe from this.
        let hold = try StoreHold(directory: locations.store)
        let lock: CheckpointLock?
        do { lock = try CheckpointLock(path: locations.lock, store: hold) } catch {
            lock = try CheckpointLock.none(error)
            try held.requireStated(since: error)
        }
        // Where the path is a symbolic link, it stays one: the new lock lies on the volume that was chosen for it.
        let lockPath = try FileSystem.target(of: locations.lock)
        guard FileSystem.exists(FileSystem.parent(of: lockPath)) else {
            throw SystemError("creating \(lockPath)", errno: ENOENT)
        }
        // What would be in the new lock's way is found out before anything is written.
        try LockDraft.clear(beside: lockPath, store: hold, lock: lock?.file)
        let (environment, schema) = try withoutActuallyEscaping(progress) { progress in
            try StoreSchema.open(
                directory: locations.store,
                mapBytes: 16 << 20,
                readers: 126,
                create: false,
                checkPages: progress
            )
        }
        let old = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            return try LedgerOpening.identity(transaction, schema)
        }
        let incarnation = try nextIncarnation(after: old.incarnation, lock: lock?.record.incarnation)
        let origin = Recovery.origin(old.origin, incarnation: incarnation)
        let signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: origin)
        guard signer.publicKey != old.publicKey else {
            guard let cut = try CutOff(environment, schema, old, keyring, lock: lock?.record) else {
                throw StartupRefusal(
                    .keyMismatch,
                    "the keyring still has the old key",
                    advice: "A new incarnation needs a new key"
                )
            }
            let (ended, checkpoint) = try cut.compared(
                environment,
                schema,
                lock: lock?.record,
                held,
                progress: progress
            )
            try place(cut.signer, checkpoint, incarnation: old.incarnation, after: ended, lockPath, hold, lock)
            return (ended, old.incarnation, cut.signer.vkey)
        }
        let predecessor = try reason.isSigned ? predecessor(old, oldKeyring) : nil
        let keys = try SucceedingKeys(locations.keys, keyring, environment, schema, reason: reason, suite: suite)
        let taken = try TakenOver(environment, schema, lock: lock?.record, held, reason: reason, progress: progress)
        if !isClockConfirmed { try requireBelievableClock(newest: taken.state.time) }
        var body: [JSONMember] = [
            JSONMember(name: "incarnation", value: .int(incarnation)),
            JSONMember(name: "origin", value: .string(origin)),
            JSONMember(name: "checkpoint_key", value: .string(signer.vkey)),
            JSONMember(name: "reason", value: .string(reason.rawValue)),
            JSONMember(name: "size", value: .int(Int64(taken.tree.size))),
            JSONMember(name: "root", value: .string(taken.tree.root.base64)),
        ]
        if let locked = taken.locked {
            body.append(JSONMember(name: "lock_size", value: .int(Int64(locked.size))))
            body.append(JSONMember(name: "lock_root", value: .string(locked.root.base64)))
        }
        let erased = try keys.erasedSince(environment, schema)
        if !erased.isEmpty {
            let digest = Recovery.digest(ofErased: erased.map(\.scope), SHA256Hasher())
            body.append(JSONMember(name: "erased_scopes", value: .string(digest.base64)))
        }
        if let predecessor {
            let succession = Succession(
                origin: old.origin,
                incarnation: incarnation,
                tree: taken.tree,
                checkpointKey: signer.vkey
            )
            let signature = try predecessor.sign(succession.statement)
            body.append(JSONMember(name: "succession", value: .string(Base64.encode(signature))))
        }
        guard let type = EventCatalogue.type(named: "system.recovered") else {
            throw StoreDamage(nil, "no event type system.recovered")
        }
        let clock = LedgerClock()
        let submission = try Submission(
            type: type,
            request: RequestKey.fresh(now: clock.now),
            actor: .system,
            streams: [old.stream],
            body: JSONObjectText(body),
            claims: []
        )
        try requireInPlace(hold)
        // A restored backup has no free page, and its map no room for another.
        let (entry, root) = try environment.write(growingTo: .max) { transaction in
            if let signature = taken.unkept { try schema.keep(signature.signature, size: signature.size, transaction) }
            try keys.takeOver(erased, by: taken.tree.size, transaction, schema)
            return try append(submission, transaction, schema, taken.state, now: clock.now) { entry in
                guard let next = old.after(entry) else { throw StoreDamage(nil, "the recovery names no identity") }
                return next
            }
        }
        try keys.settle()
        let checkpoint = Checkpoint(origin: origin, size: entry.index + 1, root: root)
        try place(signer, checkpoint, incarnation: incarnation, after: old.incarnation, lockPath, hold, lock)
        return (old.incarnation, incarnation, signer.vkey)
    }

    /// Puts the lock of an incarnation in the place of the old one, whatever is there, of which a copy stays.
    private static func place(
        _ signer: CheckpointSigner,
        _ checkpoint: Checkpoint,
        incarnation: Int64,
        after ended: Int64,
        _ path: String,
        _ hold: StoreHold,
        _ lock: CheckpointLock?
    ) throws {
        try requireInPlace(hold)
        let note = try SignedNote.signed(checkpoint.text, by: signer).encoded
        let sequence = lock?.record.following ?? 1
        try CheckpointLock.replace(lock, path: path, keeping: ".incarnation-\(ended)", store: hold) { places in
            LockRecord(sequence: sequence, incarnation: incarnation, vkey: signer.vkey, places: places, note: note)
        }
    }

    /// What is written must be what is found at the path afterwards.
    private static func requireInPlace(_ hold: StoreHold) throws {
        guard try hold.file.isInPlace() else { throw LockConflict(path: hold.file.path, "removed or replaced") }
    }

    /// The key in force, out of the keyring that must have it.
    private static func predecessor(_ identity: LedgerIdentity, _ keyring: Keyring?) throws -> CheckpointSigner {
        let signer = try keyring.map { try CheckpointSigner(seed: $0.checkpointSeed, origin: identity.origin) }
        guard let signer, signer.vkey.utf8.elementsEqual(identity.vkey.utf8) else {
            throw StartupRefusal(
                .notInForce,
                "the keyring's checkpoint key is not the key in force, \(identity.vkey), which must sign that another follows",
                advice: """
                    Put the keyring of incarnation \(identity.incarnation) back in place; if its key is lost, give the \
                    reason key-lost: who checks proofs then has to be told of the new key by a way of its own
                    """
            )
        }
        return signer
    }

    /// The number of the incarnation that follows that of the store, and that of the lock: greater, and drawn at random,
    /// since nobody can know which numbers were given before a backup of store and keyring was restored.
    private static func nextIncarnation(after stored: Int64, lock: Int64?) throws -> Int64 {
        let last = LedgerIdentity.lastFollowed
        guard stored <= last else { throw StoreDamage(nil, "no incarnation can follow that of number \(stored)") }
        if let lock, lock > last {
            throw StartupRefusal(
                .lockDamaged,
                "the checkpoint lock is of incarnation \(lock), and no other can follow it",
                advice: """
                    No recovery gives such a number by itself: find out where the lock comes from. If this ledger's own \
                    is lost, move this one away and give the reason lock-lost
                    """
            )
        }
        let drawn = try SecureRandom.bytes(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return max(stored, lock ?? 0) + 1 + Int64(drawn)
    }
}

extension Recovery {
    /// What a recovery states of scopes whose erasure came after what it takes over (`ledger-format.md` section 6).
    static func digest(ofErased scopes: [StreamID], _ hasher: SHA256Hasher) -> Digest {
        let texts = scopes.map { Array("\($0)\n".utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
        return hasher.hash(texts.flatMap { $0 })
    }
}

/// What a new incarnation takes over, once everything in it was derived again.
struct TakenOver {
    let state: ChainState
    let tree: Recovery.Tree
    /// The incarnation that ends, or did.
    let ended: Int64
    /// What the old lock's checkpoint states; nil where there is none that can be read.
    private(set) var locked: Recovery.Tree?
    /// The signature of the lock's checkpoint, of which the store has no row yet.
    private(set) var unkept: (signature: SignedNote.Signature, size: UInt64)?

    init(
        _ environment: Environment,
        _ schema: StoreSchema,
        lock: LockRecord?,
        _ held: HeldCheckpoints,
        reason: Recovery.Reason,
        isCutOff: Bool = false,
        progress: (UInt64, UInt64) -> Void
    ) throws {
        let walk = try LedgerAudit.derive(environment, schema, progress: progress)
        guard walk.findings.isEmpty else {
            let first = walk.findings.min { ($0.index ?? .max) < ($1.index ?? .max) }
            throw StartupRefusal(
                .damaged,
                "the store is not what its entries and checkpoints say, and nothing of it is signed anew: "
                    + (first.map { "\($0)" } ?? "there is more than one finding"),
                advice: walk.isStreamsSuspect
                    ? "Run 'evidence repair' first, which makes rows of streams anew, and says what else is wrong"
                    : "Run 'evidence audit' to see all of it, and put a store or a backup in its place that is intact"
            )
        }
        let (state, newest) = try environment.read { transaction in
            guard walk.size > 0 else { throw StoreDamage(nil, "the store has no entries") }
            var state = ChainState()
            state.range = try schema.compactRange(transaction, size: walk.size)
            state.previous = try schema.leaf(transaction, walk.size - 1)
            state.time = try Entry(schema.entry(transaction, walk.size - 1)).time
            return (state, try schema.newestCheckpoint(transaction) ?? 0)
        }
        self.state = state
        // The last entry of a recovery that was cut off is its own.
        guard let before = walk.identities.inForce(atSize: isCutOff ? walk.size - 1 : walk.size) else {
            throw StoreDamage(nil, "the store's entries do not say which ledger it is")
        }
        ended = before.incarnation
        var hasher = SHA256Hasher()
        tree = Recovery.Tree(size: state.size, root: state.range.root(&hasher))
        try held.compare(walk.identities, size: state.size) { size in
            try environment.read { try schema.root($0, size: size) }
        }
        guard let lock else { return }
        let note: SignedNote
        let checkpoint: Checkpoint
        do {
            (note, checkpoint) = try lock.checkpoint()
            try TakenOver.verify(note, checkpoint, of: lock, walk.identities, before)
            // It is to be stated in an entry.
            try checkpoint.requireLedgerSize()
        } catch let fault {
            // As unreadable as one without an intact record, if that is what the operator says it is.
            guard reason != .lockDamaged else {
                try held.requireStated(since: fault)
                return
            }
            throw StartupRefusal(
                .lockDamaged,
                "the checkpoint in the old lock does not hold: \(fault)",
                advice: """
                    Put this ledger's lock back. If there is none, it was damaged, or somebody made one up: find out, and \
                    give the reason lock-damaged
                    """
            )
        }
        let stated = Recovery.Tree(size: checkpoint.size, root: checkpoint.root)
        if checkpoint.size <= state.size {
            let root = try environment.read { try schema.root($0, size: checkpoint.size) }
            guard root == checkpoint.root else {
                // An interrupted recovery may have left the lock whose loss it states; it is not stated twice.
                if walk.identities.hasRecovery(stating: stated) { return }
                throw StartupRefusal(
                    .otherRoot,
                    "the store's first \(checkpoint.size) entries have another root than the checkpoint signed for them",
                    advice: """
                        The store is another history than the one that was signed, which no new incarnation may take \
                        over. Put the signed store back, or a backup of it
                        """
                )
            }
            if newest < checkpoint.size { unkept = note.signatures.first.map { ($0, checkpoint.size) } }
        }
        locked = stated
    }

    /// Verifies the note of a lock under the key of its incarnation; of one that the store knows nothing of, under the
    /// lock's own.
    private static func verify(
        _ note: SignedNote,
        _ checkpoint: Checkpoint,
        of lock: LockRecord,
        _ identities: IdentityHistory,
        _ newest: LedgerIdentity
    ) throws {
        var (origin, vkey) = ("", lock.vkey)
        if let known = identities.identity(ofIncarnation: lock.incarnation) {
            (origin, vkey) = (known.origin, known.vkey)
        } else if lock.incarnation > newest.incarnation {
            origin = Recovery.origin(newest.origin, incarnation: lock.incarnation)
        }
        guard checkpoint.origin.utf8.elementsEqual(origin.utf8) else {
            throw NoteError(.malformedCheckpoint, "is of \(checkpoint.origin), which is none of this ledger's origins")
        }
        try note.verify([CheckpointVerifier(vkey: vkey)])
    }
}
