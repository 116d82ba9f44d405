import LMDB
import LedgerFormat
import OpenSSL

/// What the entries say of the ledger's identities and of lost keyrings, read once at the start: only a recovery adds to
/// it, and none runs while the ledger is open.
struct LedgerHistory: Sendable {
    private let identities: Result<IdentityHistory, StoreDamage>
    /// Which claims were given up with a lost keyring.
    let losses: ClaimLosses

    /// Of a ledger that was recovered, goes through the whole ledger stream. What is damaged in it is an error of the calls
    /// that need it, and keeps nothing else from being done.
    init(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema, identity: LedgerIdentity) throws {
        let found: (identities: IdentityHistory, lostBefore: UInt64)
        do {
            let identities = try LedgerHistory.read(transaction, schema, identity)
            found = (identities, try schema.lostBefore(identities.keyLosses, transaction))
        } catch {
            guard let damage = StoreDamage.named(error) as? StoreDamage else { throw error }
            identities = .failure(damage)
            losses = .unknown(damage)
            return
        }
        identities = .success(found.identities)
        losses = .before(found.lostBefore)
    }

    /// The identity in force at a size.
    ///
    /// - Throws: `StoreDamage` where it isn't known.
    func identity(atSize size: UInt64) throws(StoreDamage) -> LedgerIdentity {
        guard let identity = try identities.get().inForce(atSize: size) else {
            throw StoreDamage(nil, "the store's entries do not say which ledger it is")
        }
        return identity
    }

    private static func read(
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ identity: LedgerIdentity
    ) throws -> IdentityHistory {
        var hasher = SHA256Hasher()
        var identities = IdentityHistory()
        let first = try schema.intactEntry(transaction, 0, &hasher).entry
        try require(identities.take(first, at: 0), at: 0)
        if identity.incarnation > 1 {
            for row in try schema.rows(of: identity.stream, transaction, from: 1, limit: .max, reverse: false) {
                let entry = try schema.intactEntry(transaction, row.index, &hasher).entry
                try row.require(entry, in: identity.stream)
                try require(identities.take(entry, at: row.index), at: row.index)
            }
        }
        guard identities.newest == identity else {
            throw StoreDamage(nil, "the identity the store states is not what its entries say")
        }
        return identities
    }

    private static func require(_ broken: [String], at index: UInt64) throws(StoreDamage) {
        if let rule = broken.first { throw StoreDamage(index, rule) }
    }
}
