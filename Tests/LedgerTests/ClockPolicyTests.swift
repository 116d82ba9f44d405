import LedgerFormat
import Testing

@testable import Ledger

/// What the policy makes of clocks that run, jump, creep and are wrong at the start. Times in seconds.
@Suite struct ClockPolicyTests {
    private static let newest: Int64 = 1_700_000_000
    private var policy = ClockPolicy(
        limits: ClockPolicy.Limits(step: 3_600_000_000, gap: 30 * 86_400_000_000, confirmation: 300_000_000),
        newest: LedgerTime(microseconds: newest * 1_000_000)
    )
    private var steady = 1_000.0
    private var wall = Double(newest) + 10
    private var isSynchronized = false

    private mutating func look(after seconds: Double = 1, confirmed: Bool = false) -> ClockPolicy.Finding {
        steady += seconds
        wall += seconds
        let reading = ClockPolicy.Reading(
            wall: Int64(wall * 1_000_000),
            steady: Int64(steady * 1_000_000),
            isSynchronized: isSynchronized
        )
        return policy.judge(reading, operatorConfirms: confirmed)
    }

    private func isHeld(_ finding: ClockPolicy.Finding, for reason: ClockPolicy.Reason) -> Bool {
        guard case .held(let hold) = finding else { return false }
        return hold.reason == reason
    }

    @Test mutating func aClockThatRunsIsBelieved() {
        #expect(look() == .opened(nil))
        for seconds: Double in [0, 0.000_001, 1, 86_400, 40 * 86_400] { #expect(look(after: seconds) == .even) }
    }

    @Test mutating func smallJumpsAreTakenAndSaid() {
        _ = look()
        wall += 3
        #expect(look() == .jumped(3_000_000, nil))
        #expect(look() == .even)
        wall -= 7_200
        #expect(look() == .jumped(-7_200_000_000, nil))
        // Exactly the limit.
        wall += 3_600
        #expect(look() == .jumped(3_600_000_000, nil))
        wall -= 30 * 365 * 86_400
        #expect(look() == .jumped(-30 * 365 * 86_400_000_000, nil))
    }

    @Test mutating func manySmallStepsAddUp() {
        _ = look()
        var seen: [ClockPolicy.Finding] = []
        for _ in 0..<10 {
            wall += 0.75
            seen.append(look(after: 3_600))
        }
        // After the third they are 2.25 seconds, and so again after the sixth and the ninth.
        let jump = ClockPolicy.Finding.jumped(2_250_000, nil)
        #expect(seen == [.even, .even, jump, .even, .even, jump, .even, .even, jump, .even])
    }

    @Test mutating func oneWrongReadingIsForgotten() {
        _ = look()
        wall += 3_601
        #expect(isHeld(look(), for: .step(3_601_000_000)))
        wall -= 3_601
        #expect(look() == .even)
        #expect(look() == .even)
    }

    @Test mutating func aLargeStepIsBelievedOnceItLasted() {
        _ = look()
        wall += 86_400
        #expect(isHeld(look(), for: .step(86_400_000_000)))
        #expect(isHeld(look(after: 299), for: .step(86_400_000_000)))
        #expect(look() == .jumped(86_400_000_000, .secondLook))
        #expect(look() == .even)
    }

    @Test mutating func aTimeThatDoesNotGoOnEvenlyWaitsAnew() {
        _ = look()
        wall += 86_400
        _ = look()
        // Another wrong time: what was seen of the first says nothing about it.
        wall += 86_400
        #expect(isHeld(look(after: 300), for: .step(172_800_000_000)))
        #expect(isHeld(look(after: 299), for: .step(172_800_000_000)))
        wall += 2.5
        #expect(isHeld(look(after: 1), for: .step(172_802_500_000)))
        #expect(look(after: 300) == .jumped(172_802_500_000, .secondLook))
    }

    @Test mutating func synchronizationConfirmsWhatLasts() {
        isSynchronized = true
        _ = look()
        wall += 86_400
        // The kernel may say so of the time before the wrong reading.
        #expect(isHeld(look(), for: .step(86_400_000_000)))
        #expect(isHeld(look(after: 0.5), for: .step(86_400_000_000)))
        #expect(look(after: 0.5) == .jumped(86_400_000_000, .synchronization))
    }

    @Test mutating func theOperatorConfirms() {
        _ = look()
        wall += 86_400
        #expect(isHeld(look(), for: .step(86_400_000_000)))
        #expect(look(after: 0, confirmed: true) == .jumped(86_400_000_000, .operator))
        // The word is for the time that was held, not for the next one.
        wall += 86_400
        #expect(isHeld(look(confirmed: true), for: .step(86_400_000_000)))
    }

    @Test mutating func withoutALimitOnlyOthersConfirm() {
        policy = ClockPolicy(
            limits: ClockPolicy.Limits(step: 3_600_000_000, gap: 86_400_000_000, confirmation: nil),
            newest: LedgerTime(microseconds: ClockPolicyTests.newest * 1_000_000)
        )
        _ = look()
        wall += 86_400
        #expect(isHeld(look(), for: .step(86_400_000_000)))
        #expect(isHeld(look(after: 365 * 86_400), for: .step(86_400_000_000)))
        isSynchronized = true
        #expect(look() == .jumped(86_400_000_000, .synchronization))
    }

    @Test mutating func farAfterTheNewestEntryIsHeldAtTheStart() {
        wall = Double(ClockPolicyTests.newest) + 30 * 86_400 - 1
        #expect(look() == .opened(nil))

        policy = ClockPolicyTests().policy
        #expect(isHeld(look(), for: .gap(30 * 86_400_000_000 + 1_000_000)))
        #expect(look(after: 300) == .opened(.secondLook))
        // From then on only steps count.
        #expect(look(after: 60 * 86_400) == .even)
    }

    @Test mutating func aClockSetRightDuringTheHoldAtTheStartIsTaken() {
        wall = Double(ClockPolicyTests.newest) + 900 * 86_400
        #expect(isHeld(look(), for: .gap(900 * 86_400_000_000 + 1_000_000)))
        wall = Double(ClockPolicyTests.newest) + 5
        #expect(look() == .opened(nil))
        #expect(look() == .even)
    }

    @Test mutating func behindTheNewestEntryIsBelieved() {
        wall = Double(ClockPolicyTests.newest) - 900 * 86_400
        #expect(look() == .opened(nil))
        #expect(look() == .even)
    }

    @Test mutating func nothingConfirmsATimeTheFormatCannotWrite() {
        _ = look()
        let now = wall
        wall = 253_402_300_800
        isSynchronized = true
        #expect(isHeld(look(after: 0), for: .beyondFormat))
        #expect(isHeld(look(after: 3_600, confirmed: true), for: .beyondFormat))
        wall = now
        steady -= 3_600
        #expect(look() == .even)
        // The last second of the year is a time, but no small step from here.
        wall = 253_402_300_799
        #expect(!isHeld(look(after: 0), for: .beyondFormat))
    }
}
