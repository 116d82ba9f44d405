import Glibc
import Synchronization
import Testing

@testable import Varlink

/// What bodies may take from calls and from one another: places, workers, time.
@Suite struct BodySharingTests {
    // MARK: Time

    private func seconds(_ pace: inout BodyPace, _ count: Int, moving bytes: Int, isAwaited: Bool = true) -> Int? {
        for second in 1...count {
            pace.move(bytes)
            if pace.passSecond(isAwaited: isAwaited) { return second }
        }
        return nil
    }

    @Test func whoStandsStillIsTooSlow() {
        var pace = BodyPace(idleSeconds: 30, minuteBytes: 0)
        #expect(seconds(&pace, 29, moving: 0) == nil)
        #expect(seconds(&pace, 1, moving: 1) == nil)
        #expect(seconds(&pace, 40, moving: 0) == 30)
        var patient = BodyPace(idleSeconds: 0, minuteBytes: 0)
        #expect(seconds(&patient, 10_000, moving: 0) == nil)
    }

    @Test func whoDoesNextToNothingIsTooSlow() {
        var pace = BodyPace(idleSeconds: 30, minuteBytes: 600)
        #expect(seconds(&pace, 600, moving: 10) == nil)
        #expect(seconds(&pace, 600, moving: 9) == 60)
        // A minute counts by itself: what went before does not help.
        var early = BodyPace(idleSeconds: 30, minuteBytes: 600)
        #expect(seconds(&early, 60, moving: 1_000_000) == nil)
        #expect(seconds(&early, 60, moving: 1) == 60)
    }

    @Test func whoIsNotWaitedForHasTime() {
        var pace = BodyPace(idleSeconds: 30, minuteBytes: 600)
        #expect(seconds(&pace, 10_000, moving: 0, isAwaited: false) == nil)
        #expect(seconds(&pace, 29, moving: 0) == nil)
        #expect(seconds(&pace, 1, moving: 0) == 1)
    }

    // MARK: Places

    @Test func aPrincipalCannotTakeThePlacesOfAnother() throws {
        var limits = VarlinkLimits()
        limits.bodies = 10
        limits.bodiesPerPrincipal = 6
        limits.reservedBodies = 2
        let places = BodyPlaces(limits: limits, principals: 3)
        let shares = (1...3).map { Share(name: "p\($0)") }
        let first = (0..<20).map { _ in places.admit(shares[0]) }
        #expect(first.count { $0 != nil } == 6, "as many as one may have, and the others' reserve is left")
        let second = (0..<20).map { _ in places.admit(shares[1]) }
        #expect(second.count { $0 != nil } == 2)
        let third = (0..<20).map { _ in places.admit(shares[2]) }
        #expect(third.count { $0 != nil } == 2)
        #expect(places.admit(Share(name: nil)) == nil, "strangers get none")
        let place = try #require(first[0])
        place.release()
        place.release()
        #expect(places.taken == 9)
        #expect(places.admit(shares[0]) != nil)
    }

    @Test func aPlaceIsGivenBackWithItsLastReference() {
        let places = BodyPlaces(limits: VarlinkLimits(), principals: 1)
        let share = Share(name: "p")
        do {
            let place = places.admit(share)
            place?.beginFinishing()
            #expect(places.taken == 1 && places.isFinishing)
        }
        #expect(places.taken == 0 && !places.isFinishing)
    }

    // MARK: Workers

    /// Threads that take their work when they are told to.
    private final class Threads: Sendable {
        private let waiting = Mutex<[@Sendable () -> Void]>([])

        func add(_ work: @escaping @Sendable () -> Void) { waiting.withLock { $0.append(work) } }

        /// Has a thread of its own do each piece that waits.
        func start() -> [Thread] {
            waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting.map { Thread($0) }
            }
        }
    }

    /// Work that goes on until it is let go, and is counted.
    private final class Gate: Sendable {
        private let state = Mutex((running: 0, isOpen: false))

        var running: Int { state.withLock { $0.running } }
        func open() { state.withLock { $0.isOpen = true } }

        func pass() {
            state.withLock { $0.running += 1 }
            while !state.withLock({ $0.isOpen }) { sched_yield() }
        }
    }

    @Test func threadsAreKeptFromBodies() {
        let threads = Threads()
        let queue = WorkQueue(threads: 4, submit: threads.add)
        let (one, other) = (Share(name: "one"), Share(name: "other"))
        let (bodies, otherBodies, calls) = (Gate(), Gate(), Gate())
        for _ in 0..<9 { queue.bodyWorkers(for: one)(bodies.pass) }
        var started = threads.start()
        #expect(eventually { bodies.running == 2 })
        usleep(100_000)
        #expect(bodies.running == 2, "of the 3 threads that one may have")
        for _ in 0..<9 { queue.bodyWorkers(for: other)(otherBodies.pass) }
        started += threads.start()
        #expect(eventually { otherBodies.running == 1 })
        usleep(100_000)
        #expect(otherBodies.running == 1, "of all 4 threads 3 may be with bodies")
        queue.workers(for: one)(calls.pass)
        started += threads.start()
        #expect(eventually { calls.running == 1 })
        #expect(bodies.running == 2 && otherBodies.running == 1)
        for gate in [bodies, otherBodies, calls] { gate.open() }
        for thread in started { thread.join() }
        #expect(bodies.running == 9 && otherBodies.running == 9)
    }

    @Test func callsAndBodiesTakeTurns() {
        let order = Mutex<[String]>([])
        let threads = Threads()
        let queue = WorkQueue(threads: 1, submit: threads.add)
        let share = Share(name: "one")
        let (bodies, calls) = (queue.bodyWorkers(for: share), queue.workers(for: share))
        for _ in 0..<4 { bodies { order.withLock { $0.append("body") } } }
        for _ in 0..<3 { calls { order.withLock { $0.append("call") } } }
        for thread in threads.start() { thread.join() }
        #expect(order.withLock { $0 } == ["body", "call", "body", "call", "body", "call", "body"])
    }
}
