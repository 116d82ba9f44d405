import SeededRandom
import Synchronization
import Testing

@testable import Varlink

/// What principals and strangers may take from one another: connections, room for input, workers.
@Suite struct SharingTests {
    // MARK: Connections

    private func counts(_ principals: Int, _ change: (inout VarlinkLimits) -> Void) -> ConnectionCounts {
        var limits = VarlinkLimits()
        change(&limits)
        return ConnectionCounts(limits: limits, principals: principals)
    }

    /// How many of so many users get in.
    private func admitted(_ uids: [UInt32], _ share: Share, _ counts: inout ConnectionCounts) -> Int {
        var admitted = 0
        for uid in uids where counts.admit(peer(uid), share) { admitted += 1 }
        return admitted
    }

    private func peer(_ uid: UInt32) -> PeerCredentials { PeerCredentials(pid: 1, uid: uid, gid: uid) }

    @Test func strangersHaveTheirOwnFewConnections() {
        let strangers = Share(name: nil)
        let shop = Share(name: "shop")
        var counts = counts(1) { limits in
            limits.connections = 3
            limits.strangerConnections = 2
        }
        // Each of another user.
        #expect(admitted(Array(1...5), strangers, &counts) == 2)
        #expect(admitted(Array(repeating: 100, count: 5), shop, &counts) == 3)
        counts.release(peer(1), strangers)
        #expect(admitted([100], shop, &counts) == 0, "a stranger's place is no principal's")
        #expect(admitted([7], strangers, &counts) == 1)
        #expect(counts.total == 5)
    }

    @Test func aPrincipalCannotTakeTheReserveOfAnother() {
        let flood = Share(name: "flood")
        let late = Share(name: "late")
        let later = Share(name: "later")
        var counts = counts(3) { limits in
            limits.connections = 10
            limits.connectionsPerUser = 10
            limits.reservedConnections = 2
        }
        // From as many users as it likes: two places are kept for each of the two others.
        #expect(admitted(Array(1...20), flood, &counts) == 6)
        #expect(admitted(Array(repeating: 50, count: 5), late, &counts) == 2)
        #expect(admitted(Array(repeating: 60, count: 5), later, &counts) == 2)
        counts.release(peer(1), flood)
        #expect(admitted([50], late, &counts) == 1, "what is nobody's reserve is anybody's")
    }

    @Test func moreReserveThanThereAreConnectionsIsDivided() {
        var counts = counts(4) { limits in
            limits.connections = 8
            limits.reservedConnections = 16
        }
        let shares = (1...4).map { Share(name: "p\($0)") }
        for share in shares { #expect(admitted(Array(repeating: 1, count: 9), share, &counts) == 2) }
    }

    @Test func aUserHasALimitOfItsOwn() {
        var counts = counts(1) { $0.connectionsPerUser = 3 }
        let shop = Share(name: "shop")
        #expect(admitted(Array(repeating: 1, count: 9), shop, &counts) == 3)
        #expect(admitted([2], shop, &counts) == 1)
        counts.release(peer(1), shop)
        #expect(admitted([1], shop, &counts) == 1)
    }

    // MARK: Input

    private final class Evictions: Sendable {
        private let list = Mutex<[String]>([])

        var names: [String] { list.withLock { $0 } }

        func lease(_ name: String, _ budget: InputBudget, _ share: Share) -> InputLease {
            InputLease(budget, share) { [self] in list.withLock { $0.append(name) } }
        }
    }

    @Test func whatEveryConnectionMayHoldIsNotCounted() {
        let budget = InputBudget(limit: 0)
        let lease = InputLease(budget, Share(name: "shop")) {}
        #expect(lease.hold(16 << 10))
        #expect(!lease.hold((16 << 10) + 1))
        #expect(budget.held == 0)
    }

    @Test func roomIsGivenBackWhenItIsNotNeededAndWhenTheConnectionIsGone() {
        let budget = InputBudget(limit: 1 << 20)
        do {
            let lease = InputLease(budget, Share(name: "shop")) {}
            #expect(lease.hold(1 << 20) && budget.held == 1 << 20)
            #expect(lease.hold(1 << 18) && budget.held == 1 << 18)
            #expect(lease.hold(0) && budget.held == 0)
            #expect(lease.hold(1 << 20))
        }
        #expect(budget.held == 0)
    }

    @Test func whoHoldsMostIsRefusedFirst() {
        let budget = InputBudget(limit: 1 << 20)
        let evictions = Evictions()
        let flood = Share(name: "flood")
        let large = evictions.lease("large", budget, flood)
        let small = evictions.lease("small", budget, flood)
        #expect(large.hold(700 << 10) && small.hold(200 << 10))
        // Beyond the budget whoever has it is refused, and keeps what it has.
        #expect(!small.hold(400 << 10))
        #expect(evictions.names.isEmpty)
        // Another is not: the largest of what the first sent has to go.
        let other = evictions.lease("other", budget, Share(name: "other"))
        #expect(other.hold(400 << 10))
        #expect(evictions.names == ["large"])
        #expect(budget.held <= 1 << 20)
        // But it may not have more than its half of it.
        #expect(!other.hold(900 << 10))
    }

    /// A connection learns late that its room was taken back, and may have asked for room anew meanwhile.
    @Test func whatWasTakenBackIsNotGivenBackTwiceNorKept() {
        let budget = InputBudget(limit: 1 << 20)
        let evictions = Evictions()
        let victim = evictions.lease("victim", budget, Share(name: "flood"))
        #expect(victim.hold(1 << 20))
        do {
            let other = evictions.lease("other", budget, Share(name: "other"))
            #expect(other.hold(512 << 10) && evictions.names == ["victim"])
            #expect(victim.hasLostRoom && victim.granted == 0)
        }
        // Before word of it comes, it asks again and gets it.
        #expect(victim.hold(1 << 20) && budget.held == 1 << 20)
        #expect(!victim.hasLostRoom, "and so has nothing to give up")
        #expect(victim.hold(0) && budget.held == 0)
        // What it believes to have is not there, so it is asked for.
        let other = evictions.lease("other", budget, Share(name: "other"))
        #expect(victim.hold(1 << 20) && other.hold(512 << 10) && victim.hold(512 << 10))
        #expect(budget.held == 1 << 20 && !other.hasLostRoom && !victim.hasLostRoom)
    }

    /// Connections come, ask, are evicted, go midway or answer, in any order; word of evictions comes whenever it does.
    @Test func afterThousandsOfEvictionsNothingIsHeld() {
        let limit = 1 << 20
        let budget = InputBudget(limit: limit)
        let shares = (0..<4).map { Share(name: "p\($0)") }
        let words = Mutex<[Int]>([])
        var random = SeededGenerator(seed: 7)
        var leases: [Int: InputLease] = [:]
        var (next, told, wrong) = (0, 0, 0)
        for _ in 0..<100_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where leases.count < 24:
                let number = next
                leases[number] = InputLease(budget, shares[Int.random(in: 0..<4, using: &random)]) {
                    words.withLock { $0.append(number) }
                }
                next += 1
            case 1: if let key = leases.keys.sorted().randomElement(using: &random) { leases[key] = nil }
            case 2, 3:
                guard let number = words.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { continue }
                told += 1
                if leases[number]?.hasLostRoom == true { #expect(leases[number]?.hold(0) == true) }
            default:
                guard let key = leases.keys.sorted().randomElement(using: &random) else { continue }
                _ = leases[key]?.hold(Int.random(in: 0...400 << 10, using: &random))
            }
            let held = budget.held
            if held != leases.values.reduce(0, { $0 + $1.granted }) || held > limit { wrong += 1 }
        }
        #expect(wrong == 0 && told > 2_000)
        for lease in leases.values { #expect(lease.hold(0)) }
        #expect(budget.held == 0, "while all of them are still there")
    }

    @Test func oneOfManySharesAlwaysHasItsPart() {
        let budget = InputBudget(limit: 1 << 20)
        let evictions = Evictions()
        let flooders = (1...3).flatMap { number -> [InputLease] in
            let share = Share(name: "flood\(number)")
            return (1...4).map { evictions.lease("\(number).\($0)", budget, share) }
        }
        for lease in flooders { _ = lease.hold(128 << 10) }
        let quiet = evictions.lease("quiet", budget, Share(name: "quiet"))
        #expect(quiet.hold(256 << 10))
        #expect(!evictions.names.contains("quiet") && !evictions.names.isEmpty)
        #expect(budget.held <= 1 << 20)
        withExtendedLifetime(flooders) {}
    }

    // MARK: Workers

    /// Workers that work when they are told to.
    private final class Hands: Sendable {
        private let waiting = Mutex<[@Sendable () -> Void]>([])

        func take(_ work: @escaping @Sendable () -> Void) { waiting.withLock { $0.append(work) } }

        func workAll() {
            while let work = waiting.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { work() }
        }
    }

    @Test func sharesHaveTheirTurnsHoweverMuchOneAsks() {
        let hands = Hands()
        let queue = WorkQueue(threads: 2) { hands.take($0) }
        let done = Mutex<[String]>([])
        let flood = queue.workers(for: Share(name: "flood"))
        let quiet = queue.workers(for: Share(name: "quiet"))
        for _ in 0..<1_000 { flood { done.withLock { $0.append("flood") } } }
        for _ in 0..<3 { quiet { done.withLock { $0.append("quiet") } } }
        hands.workAll()
        let order = done.withLock { $0 }
        #expect(order.count == 1_003)
        // In turn, so the third of the quiet is the sixth of all.
        #expect(order.prefix(6).count { $0 == "quiet" } == 3)
    }

    @Test func noShareHasAllThreads() {
        let hands = Hands()
        let queue = WorkQueue(threads: 3) { hands.take($0) }
        let done = Mutex<[String]>([])
        let share = Share(name: "flood")
        let flood = queue.workers(for: share)
        let other = queue.workers(for: Share(name: "other"))
        // Each piece is done while those before it still run: this is the second thread, then the third.
        flood {
            flood { done.withLock { $0.append("second") } }
            flood { done.withLock { $0.append("third") } }
            other { done.withLock { $0.append("other") } }
            hands.workAll()
            done.withLock { $0.append("first") }
        }
        hands.workAll()
        #expect(done.withLock { $0 }.sorted() == ["first", "other", "second", "third"])
        let nested = Mutex<[Int]>([])
        let running = Mutex(0)
        for _ in 0..<5 {
            flood {
                let now = running.withLock { running in
                    running += 1
                    return running
                }
                nested.withLock { $0.append(now) }
                // Whatever else there is to do is done within, as by another thread.
                hands.workAll()
                running.withLock { $0 -= 1 }
            }
        }
        hands.workAll()
        #expect(nested.withLock { $0 }.count == 5)
        #expect(nested.withLock { $0 }.max() == 2, "three threads, of which one is for others")
    }

    @Test func strangersHaveOneThread() {
        let hands = Hands()
        let queue = WorkQueue(threads: 4) { hands.take($0) }
        let strangers = queue.workers(for: Share(name: nil))
        let running = Mutex((now: 0, most: 0, done: 0))
        for _ in 0..<5 {
            strangers {
                running.withLock { running in
                    running.now += 1
                    running.most = max(running.most, running.now)
                }
                hands.workAll()
                running.withLock { running in
                    running.now -= 1
                    running.done += 1
                }
            }
        }
        hands.workAll()
        #expect(running.withLock { $0.most } == 1)
        #expect(running.withLock { $0.done } == 5)
    }
}
