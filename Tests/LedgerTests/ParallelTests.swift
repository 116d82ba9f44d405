import Synchronization
import Testing

@testable import Ledger

@Suite struct ParallelTests {
    @Test(arguments: [0, 1, 2, 3, 1_000])
    func resultsComeInTheOrderOfTheirPositions(_ count: Int) {
        let seen = Mutex<[Int]>([])
        let results = Parallel.map(count) { thread, position in
            // The first pieces take longest.
            var spent = 0
            for step in 0..<(count - position) * 100 { spent &+= step ^ position }
            seen.withLock { $0.append(spent == .min ? -1 : position) }
            return (thread, position)
        }
        #expect(results.map(\.1) == Array(0..<count))
        #expect(results.allSatisfy { 0..<Parallel.width ~= $0.0 })
        #expect(seen.withLock { $0.sorted() } == Array(0..<count))
    }

    @Test func oneThreadIsNeverAtTwoPiecesAtOnce() {
        let atWork = Mutex<Set<Int>>([])
        let alone = Parallel.map(500) { thread, _ in
            let isAlone = atWork.withLock { $0.insert(thread).inserted }
            var spent = 0
            for step in 0..<2_000 { spent &+= step }
            atWork.withLock { _ = $0.remove(thread) }
            return isAlone && spent > 0
        }
        #expect(alone.allSatisfy { $0 })
    }
}
