import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Opens the parts of a ledger and refuses those that don't belong together: the checks between start and the first
/// append.
struct LedgerOpening {
    let environment: Environment
    let schema: StoreSchema
    let identity: LedgerIdentity
    let lock: CheckpointLock
    let signer: CheckpointSigner
    let state: ChainState
    let wasStoppedCleanly: Bool
    private let keyring: Keyring
    private let settings: LedgerSettings

    init(_ locations: LedgerLocations, keyring: Keyring, settings: LedgerSettings) throws {
        guard FileSystem.exists(locations.store + "/data.mdb") else {
            throw StartupRefusal(
                .noLedger,
                "there is no ledger at \(locations.store)",
                advice: "Create one with 'evidence init', or put the store back; a ledger is never created by itself"
            )
        }
        // The lock first: it is what keeps a second daemon out.
        lock = try CheckpointLock(path: locations.lock)
        (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: settings.mapBytes,
            readers: settings.readers,
            create: false
        )
        self.keyring = keyring
        self.settings = settings
        let schema = schema
        let record = lock.record
        (identity, state, wasStoppedCleanly) = try environment.read { transaction in
            try LedgerOpening.requireFormat(transaction, schema)
            let identity = try LedgerOpening.identity(transaction, schema)
            _ = try LedgerIdentity.genesis(Entry(schema.entry(transaction, 0)))
            _ = try schema.keptCheckpoint(transaction)
            let state = try LedgerOpening.state(transaction, schema, verified: settings.verifiedTail)
            try LedgerOpening.compare(transaction, schema, identity, size: state.size, with: record)
            let last = try Entry(schema.entry(transaction, state.size - 1))
            return (identity, state, ["system.stopped", "ledger.created", "system.recovered"].contains(last.type))
        }
        signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: identity.origin)
        guard signer.vkey == identity.vkey else {
            throw StartupRefusal(
                .keyMismatch,
                "the keyring's checkpoint key is not the key \(identity.vkey) this ledger signs with",
                advice: "Use the keyring that belongs to this ledger; if it is lost, run 'evidence recover'"
            )
        }
    }

    /// Opens the look-up index and catches it up with the log. One that is damaged is moved aside or emptied, and
    /// filled anew: everything in it is derived.
    ///
    /// - Parameter isRebuilt: set where that happened.
    func lookupIndex(directory: String, isRebuilt: inout Bool) throws -> LookupIndex {
        let index: LookupIndex
        do {
            index = try openIndex(directory)
        } catch  where error is LMDBError || error is StoreDamage {
            try FileSystem.moveAside(directory + "/data.mdb", suffix: ".damaged")
            isRebuilt = true
            index = try openIndex(directory)
        }
        var claims = try SealedClaims(claimsKey: keyring.claimsKey)
        if try !agrees(index, &claims) {
            try index.clear()
            isRebuilt = true
        }
        var next = try index.indexed()
        while next < state.size {
            let end = min(next + LookupBlock.entries, state.size)
            let records = try environment.read { transaction in
                try (next..<end).map { try schema.lookupRecord(transaction, $0, &claims) }
            }
            if UInt64(records.count) == LookupBlock.entries {
                try index.store(records)
            } else {
                index.tail.add(records)
            }
            next = end
        }
        return index
    }

    private func openIndex(_ directory: String) throws -> LookupIndex {
        try LookupIndex(
            directory: directory,
            mapBytes: settings.indexMapBytes,
            readers: settings.readers,
            key: keyring.indexKey,
            ledger: identity.encoded
        )
    }

    /// Whether the index has as many rows as entries, no more entries than the store, and says of its newest ones what
    /// they say. Without that, retries of what it forgot would be recorded twice.
    private func agrees(_ index: LookupIndex, _ claims: inout SealedClaims) throws -> Bool {
        let totals = try index.totals()
        guard totals.indexed <= state.size, totals.areWhole else { return false }
        return try environment.read { transaction in
            let first = totals.indexed > settings.verifiedTail ? totals.indexed - settings.verifiedTail : 0
            for number in first..<totals.indexed {
                let record = try schema.lookupRecord(transaction, number, &claims)
                if try index.contradiction(record) != nil { return false }
            }
            return true
        }
    }

    static func requireFormat(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws {
        guard try transaction.get(schema.meta, StoreSchema.formatKey) == StoreSchema.format else {
            throw StartupRefusal(
                .damaged,
                "the store is not of format '\(String(decoding: StoreSchema.format, as: UTF8.self))'",
                advice: "Use the version of evidenced that wrote it"
            )
        }
    }

    static func identity(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws -> LedgerIdentity {
        guard let identity = try transaction.get(schema.meta, StoreSchema.identityKey).flatMap({ LedgerIdentity($0) })
        else { throw StoreDamage(nil, "the store does not say which ledger it is") }
        return identity
    }

    /// The chain's end, with the last entries re-hashed and their chain followed.
    private static func state(
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        verified: UInt64
    ) throws -> ChainState {
        let size = try schema.size(transaction)
        guard size > 0 else { throw StoreDamage(nil, "the store has no entries") }
        var hasher = SHA256Hasher()
        var state = ChainState()
        let first = size > verified ? size - verified : 0
        state.previous = first == 0 ? .zero : try schema.leaf(transaction, first - 1)
        for index in first..<size {
            let bytes = try schema.entry(transaction, index)
            let leaf = hasher.leaf(bytes)
            guard try schema.leaf(transaction, index) == leaf else {
                throw StoreDamage(index, "the entry does not hash to its leaf in the tree")
            }
            let entry: Entry
            do {
                entry = try Entry(bytes)
            } catch {
                throw StoreDamage(index, "the entry is malformed: \(error)")
            }
            guard entry.index == index, entry.previous == state.previous, entry.time > state.time else {
                throw StoreDamage(index, "the entry does not follow the one before it")
            }
            state.previous = leaf
            state.time = entry.time
        }
        state.range = try schema.compactRange(transaction, size: size)
        return state
    }

    /// Refuses a store the lock says cannot be the newest, or is another history.
    private static func compare(
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ identity: LedgerIdentity,
        size: UInt64,
        with record: LockRecord
    ) throws {
        let (_, locked) = try record.checkpoint()
        guard record.incarnation == identity.incarnation, locked.origin == identity.origin else {
            throw StartupRefusal(
                .otherRoot,
                """
                the checkpoint lock is of '\(locked.origin)', incarnation \(record.incarnation), and the store of \
                '\(identity.origin)', incarnation \(identity.incarnation)
                """,
                advice:
                    "Put the lock and the store together that belong together; if that is impossible, run 'evidence recover'"
            )
        }
        guard size >= locked.size else {
            throw StartupRefusal(
                .olderThanLock,
                """
                the store holds \(size) entries, but a checkpoint of \(locked.size) was signed: this is a restored \
                backup or part of the store is lost
                """,
                advice: """
                    Put the newest store back. If it is lost, run 'evidence recover --reason backup-restored': it \
                    starts a new incarnation with a new key, visible in the log, so that nothing signed before can be \
                    contradicted
                    """
            )
        }
        guard try schema.root(transaction, size: locked.size) == locked.root else {
            throw StartupRefusal(
                .otherRoot,
                "the store's first \(locked.size) entries have another root than the checkpoint signed for them",
                advice: "The store is damaged or another ledger's. Run 'evidence audit' to find the first damaged entry"
            )
        }
    }
}

extension StoreSchema {
    /// What the look-up index must hold of an entry; document digests of erased claims are gone from it too.
    func lookupRecord(
        _ transaction: borrowing some Readable & ~Copyable,
        _ index: UInt64,
        _ claims: inout SealedClaims
    ) throws -> LookupRecord {
        let entry = try Entry(entry(transaction, index))
        var documents = DocumentDigests()
        if entry.claims.contains(where: { $0.claims.contains { EventCatalogue.digestClaims.contains($0.name) } }) {
            let erased = try claims.open(entry, transaction, self) { _, name, _, value in
                documents.note(name.utf8.span, value)
            }
            if !erased.isEmpty { documents = DocumentDigests() }
        }
        return LookupRecord(
            index: index,
            leaf: try leaf(transaction, index),
            type: entry.type,
            submitter: entry.submitter,
            request: RequestReference(entry, claims.hasher),
            documents: documents
        )
    }
}
