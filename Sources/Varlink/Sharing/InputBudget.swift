import Synchronization

/// The bytes of calls that are being received or answered, over all connections: bounded together, and shared fairly.
/// Where there is no room, a connection of the share that holds most has to give up what it sent, unless that is the
/// one that asks.
final class InputBudget: Sendable {
    private struct Holding {
        /// Held, so that its key is no other's.
        let share: Share
        let grant: InputGrant
        var bytes: Int
        /// Has the connection give up its message and its room; may be called on any thread.
        let evict: @Sendable () -> Void
    }

    private struct State {
        var total = 0
        var shares: [ObjectIdentifier: Int] = [:]
        var holdings: [ObjectIdentifier: Holding] = [:]

        mutating func set(_ key: ObjectIdentifier, to bytes: Int) {
            guard var holding = holdings[key] else { return }
            let more = bytes - holding.bytes
            total += more
            shares[holding.share.key, default: 0] += more
            if shares[holding.share.key] == 0 { shares[holding.share.key] = nil }
            holding.bytes = bytes
            holding.grant.bytes.store(bytes, ordering: .relaxed)
            holdings[key] = holding
        }
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: in bytes.
    init(limit: Int) { self.limit = limit }

    /// Bytes held now.
    var held: Int { state.withLock { $0.total } }

    fileprivate func add(_ lease: InputLease, _ share: Share, evict: @escaping @Sendable () -> Void) {
        let key = ObjectIdentifier(lease)
        state.withLock { $0.holdings[key] = Holding(share: share, grant: lease.grant, bytes: 0, evict: evict) }
    }

    fileprivate func remove(_ lease: InputLease) {
        let key = ObjectIdentifier(lease)
        state.withLock { state in
            state.set(key, to: 0)
            state.holdings[key] = nil
        }
    }

    /// Gives a lease so many bytes instead of those it had.
    ///
    /// - Returns: false where there is no room and its share holds its part of it already.
    fileprivate func set(_ lease: InputLease, to bytes: Int) -> Bool {
        let key = ObjectIdentifier(lease)
        var evicted: [@Sendable () -> Void] = []
        let isGiven = state.withLock { state in
            guard let holding = state.holdings[key] else { return false }
            let more = bytes - holding.bytes
            while more > 0, state.total + more > limit {
                let own = state.shares[holding.share.key] ?? 0
                let claimants = state.shares.count + (own == 0 ? 1 : 0)
                // Whoever is within an equal part finds another who is not.
                guard own + more <= limit / claimants,
                    let most = state.shares.filter({ $0.key != holding.share.key }).max(by: { $0.value < $1.value }),
                    let victim = state.holdings.filter({ $0.value.share.key == most.key })
                        .max(by: { $0.value.bytes < $1.value.bytes })
                else { return false }
                state.set(victim.key, to: 0)
                evicted.append(victim.value.evict)
            }
            state.set(key, to: bytes)
            return true
        }
        for evict in evicted { evict() }
        return isGiven
    }
}

/// What a lease has of the budget, in bytes. Written under the budget's lock only, so that it is never another number
/// than the budget's own, also where the room was taken back and the connection does not know of it yet.
private final class InputGrant: Sendable {
    let bytes = Atomic<Int>(0)
}

/// What one connection holds of the budget. It belongs to the connection's event loop.
final class InputLease {
    /// What every connection may hold beside the budget: messages as services send them never ask for more.
    static let freeBytes = 16 << 10
    /// What is asked of the budget comes in steps of so many.
    static let step = 64 << 10
    private let budget: InputBudget
    fileprivate let grant = InputGrant()
    /// What it asked for and got, whether or not that was taken back since.
    private var wanted = 0

    /// - Parameter evict: has the connection give up what it holds; called on any thread.
    init(_ budget: InputBudget, _ share: Share, evict: @escaping @Sendable () -> Void) {
        self.budget = budget
        budget.add(self, share, evict: evict)
    }

    deinit { budget.remove(self) }

    /// Notes how much the connection holds now.
    ///
    /// - Returns: false where that is more than there is room for; it then still has what it had before.
    func hold(_ bytes: Int) -> Bool {
        let needed =
            bytes <= InputLease.freeBytes ? 0 : (bytes + InputLease.step - 1) / InputLease.step * InputLease.step
        let granted = granted
        if needed > granted || needed == 0 && granted > 0 || needed + 2 * InputLease.step < granted {
            guard budget.set(self, to: needed) else { return false }
        }
        wanted = needed
        return true
    }

    /// Bytes of the budget it has now.
    var granted: Int { grant.bytes.load(ordering: .relaxed) }

    /// Whether the budget took back what the connection still needs. Word of it comes late: by then the connection may
    /// have given up by itself, or have got room anew.
    var hasLostRoom: Bool { granted < wanted }
}
