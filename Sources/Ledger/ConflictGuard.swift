/// What keeps a submitter from finding out by trying what it can't read.
///
/// Whoever sends a request key again is told whether the content is the same: for a commitment to a value of few
/// possibilities, such as a telephone number, that is an answer to a guess. So a request that was sent with other
/// content several times is not compared any more until ever longer has passed, and all conflicts of one submitter
/// count against a budget of its own. An honest retry has the same content and costs nothing. It belongs to the writer
/// thread and begins anew with each start.
struct ConflictGuard {
    private struct Entry {
        var conflicts = 0
        /// Until when it is not compared, in seconds of the boot clock.
        var until: Int64 = 0
    }

    private struct Budget {
        var left = ConflictGuard.submitterConflicts
        var refilledAt: Int64
    }

    /// Conflicts of one request before it is made to wait.
    static let freeConflicts = 5
    /// The longest wait of one request, in seconds; each conflict beyond the free ones doubles it.
    static let longestWait: Int64 = 86_400
    /// Conflicts a submitter may have at once, of all its requests.
    static let submitterConflicts = 100
    /// Seconds after which it may have one more.
    static let refillSeconds: Int64 = 60
    /// Requests remembered; beyond, those whose wait ends first are forgotten.
    static let maximumEntries = 1 << 16

    /// By the entry that the request made.
    private var entries: [UInt64: Entry] = [:]
    private var budgets: [String: Budget] = [:]

    /// How long the request that made an entry must wait before it is compared again, in seconds; 0 where it need not.
    mutating func wait(of submitter: String, entry index: UInt64, now: Int64) -> Int64 {
        let own = max(0, (entries[index]?.until ?? 0) - now)
        guard var budget = budgets[submitter] else { return own }
        let refill = (now - budget.refilledAt) / ConflictGuard.refillSeconds
        if refill > 0 {
            budget.left = min(ConflictGuard.submitterConflicts, budget.left + Int(clamping: refill))
            budget.refilledAt += refill * ConflictGuard.refillSeconds
            budgets[submitter] = budget.left == ConflictGuard.submitterConflicts ? nil : budget
        }
        if budget.left > 0 { return own }
        return max(own, budget.refilledAt + ConflictGuard.refillSeconds - now)
    }

    /// Notes that a request came with other content than that of the entry it made.
    mutating func note(_ submitter: String, entry index: UInt64, now: Int64) {
        budgets[submitter, default: Budget(refilledAt: now)].left -= 1
        var entry = entries[index] ?? Entry()
        entry.conflicts += 1
        let beyond = entry.conflicts - ConflictGuard.freeConflicts
        if beyond >= 0 { entry.until = now + min(1 << min(beyond, 32), ConflictGuard.longestWait) }
        entries[index] = entry
        if entries.count > ConflictGuard.maximumEntries { forget() }
    }

    /// Forgets half of what is remembered; the budget of each submitter keeps that from being of use.
    private mutating func forget() {
        let kept = entries.sorted { $0.value.until > $1.value.until }.prefix(ConflictGuard.maximumEntries / 2)
        entries = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
