import Dispatch
import JSON
import LMDB
public import LedgerFormat
public import OpenSSL
import Synchronization

/// What there is of the data key of a scope.
public enum ScopeSecret: Sendable {
    case living(CipherKey)
    /// No event has claims under the scope.
    case none
    /// It was destroyed, by an entry where the store knows which.
    case erased(by: UInt64?)
}

/// What else is kept under scopes beside their claims, and goes with their keys.
public protocol ScopeCustody: Sendable {
    /// Destroys what is kept under scopes, whose keys are gone already. It is called again where it was cut off, also at the
    /// start, before the ledger serves anybody; what is not there any more is no error.
    ///
    /// - Throws: whatever keeps it from being done; the process ends then, and the next start tries again.
    func destroy(_ scopes: [StreamID]) throws
}

/// Other things than claims, such as documents, may be sealed under keys that follow from a scope's data key: an erasure
/// destroys them all (`ledger-format.md` section 10, "Key tree").
extension Ledger {
    /// The data key of a scope.
    ///
    /// - Throws: `StoreDamage` where what the store says of it is not as it was written, or the key tree lacks it.
    public func dataKey(of scope: StreamID) throws -> ScopeSecret {
        var claims = try sealedClaims()
        return try environment.read { try claims.dataKey(of: scope, $0, schema) }
    }

    /// The data key of a scope, or one it will have as soon as an event names it: until then, or until it is released, no
    /// other scope gets it. Waits for the writer.
    ///
    /// - Returns: nil where the scope was erased.
    /// - Throws: `LedgerError`: `.busy`, `.stopping`, `.storeFull` where there is no room for keys, `.damaged`.
    public func reserveKey(of scope: StreamID) throws -> CipherKey? { try settle(.reserve, scope) }

    /// Ends what `reserveKey` began: an event that names the scope is recorded, or none will be, and nothing that was sealed
    /// under the key is left. Waits for the writer.
    public func releaseKey(of scope: StreamID) throws { _ = try settle(.release, scope) }

    private func settle(_ wish: KeyReservation.Wish, _ scope: StreamID) throws -> CipherKey? {
        let reservation = KeyReservation(wish, of: scope)
        let none = Submissions()
        _ = try waiting { complete in
            try queue.add(
                PendingAppend(
                    submitter: SystemEvents.submitter,
                    events: PreparedEvents(none, from: SystemEvents.submitter, CommitmentHasher()),
                    bytes: 0,
                    reservation: reservation,
                    complete: complete
                )
            )
        }
        return reservation.key
    }

    /// An idempotency key nobody used.
    ///
    /// - Throws: `OpenSSLError` where there is no randomness.
    public func freshRequest() throws -> RequestKey { try RequestKey.fresh(now: clock.now) }

    /// Records events and waits until they are durable and signed for, or refused.
    ///
    /// - Throws: `LedgerError`; `OpenSSLError` where there is no randomness.
    public func record(_ submissions: Submissions, from submitter: String) throws -> AppendOutcome {
        try waiting { try append(submissions, from: submitter, bytes: submissions.text.count, complete: $0) }
    }

    /// Records that documents in custody were compared with what was recorded of them.
    ///
    /// - Parameters:
    ///   - objects: how many were.
    ///   - failed: how many of them are not as they should be.
    /// - Returns: the index of the entry.
    /// - Throws: `LedgerError`.
    public func recordSelfcheck(objects: Int, failed: Int) throws -> UInt64 {
        let event = try SystemEvents.submission(
            "system.selfcheck",
            body: [
                "checked": .string("objects"), "objects": .int(Int64(objects)), "objects_failed": .int(Int64(failed)),
                "result": .string(failed == 0 ? "passed" : "failed"),
            ],
            stream: identity.stream,
            now: clock.now
        )
        return try record(Submissions([event]), from: SystemEvents.submitter).receipts[0].index
    }

    /// Waits for what the writer answers.
    private func waiting(
        _ ask: (@escaping @Sendable (Result<AppendOutcome, LedgerError>) -> Void) throws -> Void
    ) throws -> AppendOutcome {
        let answer = WriterAnswer()
        try ask { answer.give($0) }
        return try answer.wait()
    }
}

/// What the writer answers to who waits for it.
private final class WriterAnswer: Sendable {
    private let result = Mutex<Result<AppendOutcome, LedgerError>?>(nil)
    private let given = DispatchSemaphore(value: 0)

    func give(_ answer: Result<AppendOutcome, LedgerError>) {
        result.withLock { $0 = answer }
        given.signal()
    }

    func wait() throws(LedgerError) -> AppendOutcome {
        given.wait()
        guard let answer = result.withLock({ $0 }) else { throw .stopping }
        return try answer.get()
    }
}
