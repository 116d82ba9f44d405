import Synchronization

/// The bodies under way, of all connections: how many there may be, and which have to be let go of when the server stops.
final class BodyPlaces: Sendable {
    private struct State {
        var places: SharedPlaces
        var open: [ObjectIdentifier: any OpenBody] = [:]
        /// Bodies that are whole and not answered yet.
        var finishing = 0
    }

    private let mostOfOne: Int
    private let state: Mutex<State>

    /// - Parameter principals: how many there are.
    init(limits: VarlinkLimits, principals: Int) {
        mostOfOne = limits.bodiesPerPrincipal
        let places = SharedPlaces(limit: limits.bodies, reserve: limits.reservedBodies, principals: principals)
        state = Mutex(State(places: places))
    }

    /// Bodies under way now.
    var taken: Int { state.withLock { $0.places.taken } }

    /// Whether a sink has a whole body and has not answered yet.
    var isFinishing: Bool { state.withLock { $0.finishing > 0 } }

    /// A place for one more body; nil where its principal or all have too many, and for strangers, who get none.
    func admit(_ share: Share) -> BodyPlace? {
        let isAdmitted = state.withLock { state in
            !share.isStrangers && state.places.taken(by: share) < mostOfOne && state.places.take(share)
        }
        return isAdmitted ? BodyPlace(self, share) : nil
    }

    /// Abandons what is still under way. Called once no thread works on any of it.
    func abandonAll() {
        for body in state.withLock({ Array($0.open.values) }) { body.abandonNow() }
    }

    fileprivate func open(_ body: any OpenBody, _ key: ObjectIdentifier) { state.withLock { $0.open[key] = body } }

    fileprivate func countFinishing(_ more: Int) { state.withLock { $0.finishing += more } }

    fileprivate func release(_ key: ObjectIdentifier, _ share: Share) {
        // What is let go of is let go of outside the lock: it may be the last to hold a sink.
        let body = state.withLock { state in
            state.places.giveBack(share)
            return state.open.removeValue(forKey: key)
        }
        withExtendedLifetime(body) {}
    }
}

/// The place of one body. It is given back once, at the latest with the last reference.
final class BodyPlace: Sendable {
    private enum Phase {
        case open, finishing, released
    }

    private let places: BodyPlaces
    private let share: Share
    private let phase = Mutex(Phase.open)

    fileprivate init(_ places: BodyPlaces, _ share: Share) {
        self.places = places
        self.share = share
    }

    deinit { release() }

    /// Says what stands in the place, and is abandoned with the server.
    func hold(_ body: any OpenBody) { places.open(body, ObjectIdentifier(self)) }

    /// Notes that the body is whole: a server that stops waits for its answer, as for a call's.
    func beginFinishing() {
        phase.withLock { phase in
            guard phase == .open else { return }
            phase = .finishing
            places.countFinishing(1)
        }
    }

    func release() {
        let before = phase.withLock { phase in
            defer { phase = .released }
            return phase
        }
        if before == .released { return }
        if before == .finishing { places.countFinishing(-1) }
        places.release(ObjectIdentifier(self), share)
    }
}

/// A body under way.
protocol OpenBody: AnyObject, Sendable {
    /// Abandons it on this thread, unless it is over. No other may be at work on it.
    func abandonNow()
}
