import Keys
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
    let history: LedgerHistory
    let claimKeys: ClaimKeys
    let lock: CheckpointLock
    let signer: CheckpointSigner
    let state: ChainState
    let wasStoppedCleanly: Bool

    init(_ locations: LedgerLocations, keyring: Keyring, settings: LedgerSettings) throws {
        // Store and lock first: each keeps a second daemon out, whatever the other one is.
        let hold = try StoreHold(directory: locations.store)
        lock = try CheckpointLock(path: locations.lock, store: hold)
        try lock.requireFollowing()
        (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: settings.mapBytes,
            readers: settings.readers + settings.ownReaders,
            ownReaders: settings.ownReaders,
            create: false
        )
        let schema = schema
        let lock = lock
        let environment = environment
        let keys: StoredKeys
        (identity, history, state, wasStoppedCleanly, keys) = try StoreSchema.sayingDamage {
            try environment.read { transaction in
                try LedgerOpening.requireFormat(transaction, schema)
                let identity = try LedgerOpening.identity(transaction, schema)
                try LedgerOpening.require(identity, transaction, schema)
                _ = try schema.keptCheckpoint(transaction)
                let check = StartCheck(schema: schema, identity: identity, record: lock.record)
                let state = try check.state(transaction, verifiedTail: settings.verifiedTail)
                try check.requirePlaces(lock.places)
                let last = try Entry(schema.entry(transaction, state.size - 1))
                let history = try LedgerHistory(transaction, schema, identity: identity)
                let ends = ["system.stopped", "ledger.created", "system.recovered"]
                return (
                    identity, history, state, ends.contains(last.type), try StoredKeys(transaction, schema)
                )
            }
        }
        signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: identity.origin)
        guard signer.vkey.utf8.elementsEqual(identity.vkey.utf8) else {
            throw StartupRefusal(
                .keyMismatch,
                "the keyring's checkpoint key is not the key \(identity.vkey) this ledger signs with",
                advice: "Use the keyring that belongs to this ledger; if it is lost, run 'evidence recover'"
            )
        }
        try SucceedingKeys.settle(locations.keys, id: keys.tree.id)
        claimKeys = try ClaimKeys(writing: locations.keys, keyring, keys)
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

    /// Refuses an identity that the ledger's first entry contradicts: its stream, and so that of all the daemon records of
    /// itself, is that entry's, and its origin follows from that entry's. Its key and number are those of the lock's
    /// checkpoint, which `StartCheck` compares.
    private static func require(
        _ identity: LedgerIdentity,
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema
    ) throws {
        var hasher = SHA256Hasher()
        let genesis = try LedgerIdentity.genesis(schema.intactEntry(transaction, 0, &hasher).entry)
        let origin = Recovery.origin(genesis.origin, incarnation: identity.incarnation)
        guard identity.stream == genesis.stream, identity.incarnation > 1 || identity == genesis,
            identity.origin.utf8.elementsEqual(origin.utf8), identity.isKeyNamed
        else { throw StoreDamage(nil, "the identity the store states is not what its entries say") }
    }

    static func identity(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws -> LedgerIdentity {
        guard let identity = try transaction.get(schema.meta, StoreSchema.identityKey).flatMap({ LedgerIdentity($0) })
        else { throw StoreDamage(nil, "the store does not say which ledger it is") }
        return identity
    }
}
