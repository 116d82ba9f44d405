import LedgerFormat
import Testing

@testable import Ledger

/// Submitters share the queue: who floods it waits for the others, not they for it.
@Suite struct AppendQueueTests {
    private func call(_ submitter: String, events: Int = 1, bytes: Int = 400) throws -> PendingAppend {
        let submissions = Submissions(try (0..<events).map { _ in try Sample.deposit() })
        return PendingAppend(
            submitter: submitter,
            events: try PreparedEvents(submissions, from: submitter, CommitmentHasher()),
            bytes: bytes,
            complete: { _ in }
        )
    }

    @Test func aFloodIsAnsweredBusyAndOthersAreNot() throws {
        let queue = AppendQueue(maximumEvents: 100, maximumBytes: 1 << 20)
        for _ in 0..<100 { try queue.add(call("flood")) }
        #expect(throws: LedgerError.busy) { try queue.add(call("flood")) }
        // Whatever waits, who has nothing waiting gets in, and then as far as its part.
        for _ in 0..<50 { try queue.add(call("quiet")) }
        #expect(throws: LedgerError.busy) { try queue.add(call("quiet")) }
        try queue.add(call("third", events: 60))
        #expect(throws: LedgerError.busy) { try queue.add(call("third")) }
        #expect(queue.load.events == 210)
    }

    @Test func bytesAreSharedAsEventsAre() throws {
        let queue = AppendQueue(maximumEvents: 1_000, maximumBytes: 1_000)
        try queue.add(call("flood", bytes: 1_000))
        #expect(throws: LedgerError.busy) { try queue.add(call("flood", bytes: 1)) }
        try queue.add(call("quiet", bytes: 100))
        try queue.add(call("quiet", bytes: 400))
        #expect(throws: LedgerError.busy) { try queue.add(call("quiet", bytes: 1)) }
    }

    @Test func aBatchTakesFromAllInTurn() throws {
        let queue = AppendQueue(maximumEvents: 10_000, maximumBytes: 64 << 20)
        // As many of these as a shared batch takes leave no room in it for anything else.
        for _ in 0..<2_000 { try queue.add(call("flood", bytes: 4_096)) }
        for _ in 0..<3 { try queue.add(call("quiet")) }
        let batch = try #require(queue.take(maximumEvents: 1_000, maximumBytes: 4 << 20))
        // What came last is in the very next batch, and that is no longer than a shared one may be.
        #expect(batch.count { $0.submitter == "quiet" } == 3)
        #expect(batch.reduce(0) { $0 + $1.bytes } <= 4 << 16)
        #expect(queue.load.events == 2_003 - batch.count)
    }

    @Test func twoWhoFloodGetTheSame() throws {
        let queue = AppendQueue(maximumEvents: 10_000, maximumBytes: 64 << 20)
        for _ in 0..<1_000 { try queue.add(call("one", bytes: 1_000)) }
        // Ten times as much a call: as much in all.
        for _ in 0..<100 { try queue.add(call("ten", events: 10, bytes: 10_000)) }
        var bytes = ["one": 0, "ten": 0]
        for _ in 0..<12 {
            let batch = try #require(queue.take(maximumEvents: 100_000, maximumBytes: 1 << 20))
            for call in batch { bytes[call.submitter, default: 0] += call.bytes }
        }
        let (one, ten) = (try #require(bytes["one"]), try #require(bytes["ten"]))
        #expect(one > 100_000 && ten > 100_000)
        #expect(max(one, ten) < 2 * min(one, ten), "one \(one), ten \(ten)")
    }

    @Test func theCallsOfOneKeepTheirOrder() throws {
        let queue = AppendQueue(maximumEvents: 10_000, maximumBytes: 64 << 20)
        for number in 0..<300 { try queue.add(call(number.isMultiple(of: 2) ? "even" : "odd", bytes: number)) }
        queue.close()
        var seen: [String: [Int]] = [:]
        while let batch = queue.take(maximumEvents: 7, maximumBytes: 1 << 20) {
            for call in batch { seen[call.submitter, default: []].append(call.bytes) }
        }
        #expect(seen["even"] == Array(stride(from: 0, to: 300, by: 2)))
        #expect(seen["odd"] == Array(stride(from: 1, to: 300, by: 2)))
    }

    @Test func whatIsLargeDoesNotHoldUpWhatFits() throws {
        let queue = AppendQueue(maximumEvents: 10_000, maximumBytes: 64 << 20)
        for _ in 0..<3 { try queue.add(call("large", bytes: 3 << 20)) }
        try queue.add(call("small"))
        let first = try #require(queue.take(maximumEvents: 8_192, maximumBytes: 4 << 20))
        #expect(first.contains { $0.submitter == "small" })
        queue.close()
        var large = first.count { $0.submitter == "large" }
        while let batch = queue.take(maximumEvents: 8_192, maximumBytes: 4 << 20) { large += batch.count }
        #expect(large == 3)
    }

    @Test func theFarewellIsTakenAfterAllOthers() throws {
        let queue = AppendQueue(maximumEvents: 100, maximumBytes: 1 << 20)
        for submitter in ["a", "b", "a"] { try queue.add(call(submitter)) }
        queue.close(farewell: try call("evidenced"))
        var order: [String] = []
        while let batch = queue.take(maximumEvents: 100, maximumBytes: 1 << 20) { order += batch.map(\.submitter) }
        #expect(order.count == 4 && order.last == "evidenced")
        #expect(throws: LedgerError.stopping) { try queue.add(call("a")) }
    }
}
