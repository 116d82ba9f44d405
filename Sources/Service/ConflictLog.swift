import Ledger
import Synchronization

/// Says once a minute, for each principal, that it uses request keys again with other content: a fault of its program,
/// or someone who guesses at what is sealed. Never what was sent.
final class ConflictLog: Sendable {
    private struct Count {
        var conflicts = 0
        var throttled = 0
        var saidAt: ContinuousClock.Instant?
    }

    private static let silence = Duration.seconds(60)
    private let log: @Sendable (String) -> Void
    private let counts = Mutex<[String: Count]>([:])

    init(log: @escaping @Sendable (String) -> Void) { self.log = log }

    /// Notes why a call was refused, where that is a conflict.
    func note(_ refusal: LedgerError, of principal: String) {
        let isThrottled: Bool
        switch refusal {
        case .requestConflict: isThrottled = false
        case .throttled: isThrottled = true
        default: return
        }
        let line = counts.withLock { counts -> String? in
            var count = counts[principal] ?? Count()
            defer { counts[principal] = count }
            if isThrottled { count.throttled += 1 } else { count.conflicts += 1 }
            let now = ContinuousClock.now
            // The first conflict of a minute may be a mistake; the first that is not even looked at is none.
            if let saidAt = count.saidAt, now - saidAt < ConflictLog.silence { return nil }
            guard isThrottled || count.conflicts > 1 else { return nil }
            count.saidAt = now
            return "\(principal) used request keys again with other content: \(count.conflicts) calls, and "
                + "\(count.throttled) more that were refused unread"
        }
        if let line { log(line) }
    }
}
