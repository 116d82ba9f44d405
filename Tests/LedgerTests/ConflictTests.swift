import LedgerFormat
import Testing

@testable import Ledger

/// A request key sent again with other content is an answer to a guess, so it can't be had at will.
@Suite struct ConflictTests {
    /// How many comparisons a submitter gets that asks as often as it may.
    private func guesses(days: Int64, entries: [UInt64]) -> Int {
        var guardian = ConflictGuard()
        var count = 0
        for second in stride(from: 0, to: days * 86_400, by: 1) {
            for index in entries where guardian.wait(of: "shop", entry: index, now: second) == 0 {
                count += 1
                guardian.note("shop", entry: index, now: second)
            }
        }
        return count
    }

    private func wait(_ guardian: inout ConflictGuard, _ submitter: String, _ index: UInt64, _ now: Int64) -> Int64 {
        guardian.wait(of: submitter, entry: index, now: now)
    }

    @Test func aRequestIsComparedAFewTimesAndThenEverMoreSeldom() {
        var guardian = ConflictGuard()
        var waits: [Int64] = []
        var now: Int64 = 1_000
        for _ in 0..<24 {
            waits.append(guardian.wait(of: "shop", entry: 7, now: now))
            now += waits[waits.count - 1]
            guardian.note("shop", entry: 7, now: now)
        }
        #expect(waits.prefix(5) == [0, 0, 0, 0, 0])
        // From the fifth conflict on one second, then twice as long each time, a day at most.
        #expect(Array(waits.dropFirst(5).prefix(17)) == (0..<17).map { 1 << $0 })
        #expect(waits.suffix(2) == [86_400, 86_400])
        // Others' requests are theirs.
        #expect(wait(&guardian, "shop", 8, now) == 0)
        #expect(wait(&guardian, "other", 9, now) == 0)
    }

    @Test func aSecretOfTenThousandPossibilitiesTakesYears() {
        // Five at once, and 17 doublings in the first day and a half.
        #expect(guesses(days: 1, entries: [7]) <= 22)
        #expect(guesses(days: 10, entries: [7]) <= 32)
    }

    @Test func manyRequestsOfOneSubmitterShareABudget() {
        var guardian = ConflictGuard()
        for index in 0..<100 {
            #expect(wait(&guardian, "shop", UInt64(index), 50) == 0)
            guardian.note("shop", entry: UInt64(index), now: 50)
        }
        #expect(wait(&guardian, "shop", 1_000, 50) == 60)
        #expect(wait(&guardian, "shop", 1_000, 109) == 1)
        #expect(wait(&guardian, "other", 2_000, 50) == 0)
        // One a minute comes back.
        #expect(wait(&guardian, "shop", 1_000, 110) == 0)
        guardian.note("shop", entry: 1_000, now: 110)
        #expect(wait(&guardian, "shop", 1_001, 110) == 60)
        // And a hundred at most, however long nothing happened.
        #expect(guesses(days: 1, entries: Array(0..<3_000)) <= 100 + 24 * 60)
    }

    @Test func whatIsRememberedIsBounded() {
        var guardian = ConflictGuard()
        for index in 0..<UInt64(3 * ConflictGuard.maximumEntries) {
            guardian.note("submitter \(index / 100)", entry: index, now: Int64(index))
        }
        // The newest of those that wait is still known.
        for _ in 0..<10 { guardian.note("late", entry: 5, now: 1_000_000) }
        for index in UInt64(10)...UInt64(2 * ConflictGuard.maximumEntries) {
            guardian.note("flood", entry: index << 20, now: 1_000_001)
        }
        #expect(wait(&guardian, "late", 5, 1_000_001) > 0)
    }

    @Test func guessesAreRefusedUnreadAndTheRightOneIsTooUntilItsTimeComes() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let object = StreamID(kind: .object, id: try Sample.id())
            let request = try Sample.request()
            func sent(_ name: String) throws -> Submission {
                try Sample.deposit(object: object, request: request, fileName: name)
            }
            let index = try ledger.submit([sent("secret 7")]).receipts[0].index
            for number in 0..<5 {
                #expect(throws: LedgerError.requestConflict(event: 0, index: index)) {
                    try ledger.submit([sent("guess \(number)")])
                }
            }
            // Neither a wrong one nor the right one is told from the other now.
            for name in ["guess 6", "secret 7"] {
                #expect(throws: LedgerError.throttled(event: 0, seconds: 1)) { try ledger.submit([sent(name)]) }
            }
            #expect(ledger.counters.conflicts == 5 && ledger.counters.throttled == 2)
            // What is new is recorded meanwhile, and others' keys are compared.
            _ = try ledger.submit([Sample.deposit()])
            let other = try Sample.deposit()
            _ = try ledger.submit([other])
            #expect(try ledger.submit([other]).receipts[0].duplicate)
        }
    }
}
