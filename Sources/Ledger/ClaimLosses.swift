import LMDB
import LedgerFormat

/// Which claims may be gone though the key of their scope was not erased: those a recovery gave up with a lost keyring
/// (`ledger-format.md` section 10, "Erasure"). What is gone otherwise is damage, and never reads as erased.
enum ClaimLosses: Sendable {
    /// Those of entries below this index.
    case before(UInt64)
    /// The ledger's own entries can't be read.
    case unknown(StoreDamage)
    /// An audit takes all that is gone, and says in the end what explains it.
    case audited

    /// - Throws: `StoreDamage` where nothing explains that the claims of an entry under a scope are gone.
    func requireLost(_ index: UInt64, _ scope: StreamID) throws(StoreDamage) {
        switch self {
        case .audited: return
        case .before(let lost) where index < lost: return
        case .before:
            throw StoreDamage(index, "claims are missing, and the key of their scope was not erased", of: scope)
        case .unknown(let damage): throw damage
        }
    }
}

extension StoreSchema {
    /// Entries below this index lost their claims with a keyring. Such a loss leaves nothing that was sealed before it; so
    /// where anything is, the claims key was not lost, whatever the recovery says, and explains nothing that is gone.
    ///
    /// - Parameter losses: where recoveries stand that say the keyring was lost, in ascending order.
    func lostBefore(_ losses: [UInt64], _ transaction: borrowing ReadTransaction) throws -> UInt64 {
        guard !losses.isEmpty else { return 0 }
        let first = try transaction.cursor(sealed) { try $0.first()?.key.prefix(8) }
        let oldest = first.flatMap { StoreKey.readNumber($0) } ?? .max
        return losses.last { $0 <= oldest } ?? 0
    }
}
