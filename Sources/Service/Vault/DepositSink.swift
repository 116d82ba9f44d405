import Ledger
import LedgerFormat
import Varlink
import Vault

/// Takes the bytes of a document that is deposited in one go.
final class DepositSink: ByteSink {
    private let service: LedgerService
    private let deposit: Deposit
    private let wish: DepositWish
    private let underWay: CallInFlight

    init(_ service: LedgerService, _ vault: Vault, _ wish: DepositWish) {
        self.service = service
        self.wish = wish
        deposit = vault.deposit(wish.order)
        underWay = service.begin()
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws(VarlinkError) {
        do {
            try deposit.take(bytes)
        } catch {
            throw service.refused(error, "a deposit")
        }
    }

    func finish(_ complete: @escaping @Sendable (Result<[UInt8], VarlinkError>) -> Void) {
        complete(service.finish(deposit, wish))
    }

    func abandon() { deposit.abandon() }
}

/// What is asked of a deposit.
struct DepositWish: Sendable {
    let order: DepositOrder
    let proofs: Bool
}

extension LedgerService {
    /// Ends a deposit.
    ///
    /// - Returns: what is answered.
    func finish(_ deposit: Deposit, _ wish: DepositWish) -> Result<[UInt8], VarlinkError> {
        do {
            let outcome = try deposit.finish()
            let proofs =
                try wish.proofs ? ledger.proofs(of: outcome.receipts.map(\.index), in: outcome.checkpoint) : nil
            return .success(LedgerReplies.receipts(outcome, proofs: proofs, object: wish.order.object))
        } catch {
            return .failure(refused(error, "a deposit"))
        }
    }

    /// What a call is answered that something refused; what nobody could foresee is logged.
    func refused(_ error: any Error, _ what: String) -> VarlinkError {
        if !(error is LedgerError || error is VarlinkError) { log("\(what) failed: \(Ledger.forLog(error))") }
        ledger.counters.countRefusal()
        return LedgerErrors.failure(error)
    }
}
