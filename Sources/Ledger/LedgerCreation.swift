import JSON
import LMDB
public import LedgerFormat
import Merkle
import OpenSSL

/// Creating a ledger, and beginning a new incarnation of one: the only two ways a first entry or a lock come to be.
public enum LedgerCreation {
    /// Creates store and lock, with the first entry signed.
    ///
    /// - Parameter origin: names the ledger in its checkpoints; a schema-less URL of at most 200 bytes.
    /// - Returns: the verification key of the checkpoints.
    public static func create(at locations: LedgerLocations, origin: String, keyring: Keyring) throws -> String {
        try checkFree(locations, origin: origin)
        try FileSystem.makeDirectory(locations.store)
        try FileSystem.makeDirectory(FileSystem.parent(of: locations.lock))
        let signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: origin)
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 16 << 20,
            readers: 16,
            create: true
        )
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
            return try append(submission, transaction, schema, ChainState(), now: clock.now) { try .genesis($0) }
        }
        try FileSystem.syncDirectory(locations.store)
        try writeLock(locations.lock, 1, signer, Checkpoint(origin: origin, size: entry.index + 1, root: root), 0)
        return signer.vkey
    }

    private static let noTime = StartupRefusal(
        .badClock,
        "the clock or the newest entry is past the year 9999, the last whose times can be written",
        advice: "Set the clock right"
    )

    /// Refuses an origin that can be none, a clock that says no time of the format, and paths where something is.
    public static func checkFree(_ locations: LedgerLocations, origin: String) throws {
        guard Checkpoint.isOrigin(origin), !origin.contains("/incarnation/"),
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
        for path in [locations.store + "/data.mdb", locations.lock] where FileSystem.exists(path) {
            throw StartupRefusal(
                .alreadyExists,
                "\(path) exists",
                advice: "A ledger is never overwritten. Choose other paths, or move what is there away"
            )
        }
    }

    /// Ends the incarnation a store belongs to and begins the next, with a new key and origin, so that whatever was
    /// signed before can never be contradicted under the same name. Writes `system.recovered` and a new lock.
    ///
    /// - Parameters:
    ///   - old: the keyring with the key in force, which signs that the new key follows it (`ledger-format.md` section
    ///     6, "Succession"); not used, and may be nil, where the reason is that the key was lost.
    ///   - keyring: the keyring with the new checkpoint key.
    /// - Throws: `StartupRefusal`: `.keyMismatch` where the new keyring has the key in force; `.notInForce` where the old
    ///   one has not; `.badKeyring` where the new keyring is not the one the claims were sealed under. The latter two not
    ///   where the reason is that the key was lost: what was sealed under it is erased then.
    /// - Returns: incarnation and verification key from now on.
    public static func beginIncarnation(
        at locations: LedgerLocations,
        old oldKeyring: Keyring?,
        keyring: Keyring,
        reason: Recovery.Reason
    ) throws -> (incarnation: Int64, vkey: String) {
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 16 << 20,
            readers: 16,
            create: false
        )
        // Holding the old lock, where there is an intact one, keeps a running daemon safe from this.
        let lock = try openLock(locations.lock)
        let locked = lock.flatMap { try? $0.record.checkpoint().1 }
        let (old, state) = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            let size = try schema.size(transaction)
            guard size > 0 else { throw StoreDamage(nil, "the store has no entries") }
            var state = ChainState()
            state.range = try schema.compactRange(transaction, size: size)
            state.previous = try schema.leaf(transaction, size - 1)
            state.time = try Entry(schema.entry(transaction, size - 1)).time
            return (try LedgerOpening.identity(transaction, schema), state)
        }
        let incarnation = max(old.incarnation, lock?.record.incarnation ?? 0) + 1
        let origin = LedgerIdentity.origin(old.origin, incarnation: incarnation)
        let signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: origin)
        guard signer.publicKey != old.publicKey else {
            throw StartupRefusal(
                .keyMismatch,
                "the keyring still has the old key",
                advice: "A new incarnation needs a new key"
            )
        }
        let predecessor = try reason.isSigned ? predecessor(old, oldKeyring) : nil
        let opensClaims = try environment.read { try schema.opensClaims($0, claimsKey: keyring.claimsKey) }
        guard opensClaims || !reason.isSigned else {
            throw StartupRefusal(
                .badKeyring,
                "the keyring is not the one this ledger's claims were sealed under",
                advice: "Put the ledger's own keyring back; if it is lost, give the reason key-lost"
            )
        }
        var hasher = SHA256Hasher()
        let tree = Recovery.Tree(size: state.size, root: state.range.root(&hasher))
        var body: [JSONMember] = [
            JSONMember(name: "incarnation", value: .int(incarnation)),
            JSONMember(name: "origin", value: .string(origin)),
            JSONMember(name: "checkpoint_key", value: .string(signer.vkey)),
            JSONMember(name: "reason", value: .string(reason.rawValue)),
            JSONMember(name: "size", value: .int(Int64(tree.size))),
            JSONMember(name: "root", value: .string(tree.root.base64)),
        ]
        if let locked {
            body.append(JSONMember(name: "lock_size", value: .int(Int64(locked.size))))
            body.append(JSONMember(name: "lock_root", value: .string(locked.root.base64)))
        }
        if let predecessor {
            let succession = Succession(
                origin: old.origin,
                incarnation: incarnation,
                tree: tree,
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
        let (entry, root) = try environment.write { transaction in
            // Nobody can open these any more, and a scope must not get a second key beside rows of the first.
            if !opensClaims { for database in [schema.scopes, schema.sealed] { try transaction.clear(database) } }
            return try append(submission, transaction, schema, state, now: clock.now) { entry in
                guard let next = old.after(entry) else { throw StoreDamage(nil, "the recovery names no identity") }
                return next
            }
        }
        try FileSystem.moveAside(locations.lock, suffix: ".incarnation-\(old.incarnation)")
        try writeLock(
            locations.lock,
            incarnation,
            signer,
            Checkpoint(origin: origin, size: entry.index + 1, root: root),
            (lock?.record.sequence ?? 0) + 1
        )
        return (incarnation, signer.vkey)
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

    private static func openLock(_ path: String) throws -> CheckpointLock? {
        do {
            return try CheckpointLock(path: path)
        } catch let refusal as StartupRefusal where refusal.code != .inUse {
            return nil
        }
    }

    private static func append(
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

    private static func writeLock(
        _ path: String,
        _ incarnation: Int64,
        _ signer: CheckpointSigner,
        _ checkpoint: Checkpoint,
        _ sequence: UInt64
    ) throws {
        let note = try SignedNote.signed(checkpoint.text, by: signer).encoded
        try CheckpointLock.create(
            path: path,
            record: LockRecord(sequence: sequence, incarnation: incarnation, vkey: signer.vkey, note: note)
        )
    }
}

extension StoreSchema {
    /// Whether the claims key is the one data keys were wrapped under: it opens one of the first, of which some may be
    /// damaged. True where there are none.
    fileprivate func opensClaims(_ transaction: borrowing ReadTransaction, claimsKey: [UInt8]) throws -> Bool {
        var claims = try SealedClaims(claimsKey: claimsKey)
        return try transaction.cursor(scopes) { cursor in
            var tried = 0
            var row = try cursor.first()
            while let current = row, tried < 1_000 {
                // An erased scope has an empty row.
                if !current.value.isEmpty {
                    tried += 1
                    if let scope = StoreKey.readStream(current.key), claims.opens(current.value, scope: scope) {
                        return true
                    }
                }
                row = try cursor.next()
            }
            return tried == 0
        }
    }
}
