import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// Data keys of scopes under which other things than claims are sealed, before an event names the scope or after.
extension SealedClaims {
    /// The data key of a scope; one that has none gets one, which it keeps once an event names it.
    ///
    /// - Returns: nil where it was erased.
    /// - Throws: `LedgerError.storeFull` where there is no key.
    mutating func reserve(
        _ scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> CipherKey? {
        switch try key(of: scope, transaction, schema) {
        case .known(let key): return key
        case .erased: return nil
        case .none:
            let slot = try reserved[scope] ?? freshSlot()
            reserved[scope] = slot
            return slot.key
        }
    }

    /// Ends a reservation. Where no event has named the scope, others may get the key: nothing sealed under it may be left.
    mutating func release(
        _ scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws {
        guard let slot = reserved.removeValue(forKey: scope) else { return }
        if case .none = try key(of: scope, transaction, schema) { source.supply?.giveBack([slot]) }
    }

    /// What there is of the data key of a scope, under which other things than claims may be sealed.
    mutating func dataKey(
        of scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> ScopeSecret {
        switch try key(of: scope, transaction, schema) {
        case .known(let key): .living(key)
        case .none: .none
        case .erased(let entry, _): .erased(by: entry)
        }
    }
}
