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
        // Store and lock first: each keeps a second daemon out, whatever the other one is.
        let hold = try StoreHold(directory: locations.store)
        lock = try CheckpointLock(path: locations.lock, store: hold)
        (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: settings.mapBytes,
            readers: settings.readers + settings.ownReaders,
            ownReaders: settings.ownReaders,
            create: false
        )
        self.keyring = keyring
        self.settings = settings
        let schema = schema
        let lock = lock
        let environment = environment
        (identity, state, wasStoppedCleanly) = try StoreSchema.sayingDamage {
            try environment.read { transaction in
                try LedgerOpening.requireFormat(transaction, schema)
                let identity = try LedgerOpening.identity(transaction, schema)
                _ = try LedgerIdentity.genesis(Entry(schema.entry(transaction, 0)))
                _ = try schema.keptCheckpoint(transaction)
                let check = StartCheck(schema: schema, identity: identity, record: lock.record)
                let state = try check.state(transaction, verifiedTail: settings.verifiedTail)
                try check.requirePlaces(lock.places)
                let last = try Entry(schema.entry(transaction, state.size - 1))
                return (identity, state, ["system.stopped", "ledger.created", "system.recovered"].contains(last.type))
            }
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
            readers: settings.readers + settings.ownReaders,
            ownReaders: settings.ownReaders,
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
