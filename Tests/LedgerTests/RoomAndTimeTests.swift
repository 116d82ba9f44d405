import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

@Suite struct RoomAndTimeTests {
    @Test func theMapGrowsByItself() throws {
        let fixture = try LedgerFixture()
        fixture.settings.mapBytes = 1 << 20
        fixture.settings.indexMapBytes = 1 << 18
        try fixture.whileOpen { ledger in
            for _ in 0..<20 { _ = try ledger.submit((0..<200).map { _ in try Sample.deposit() }) }
            #expect(try ledger.gauges().mapBytes > 1 << 20)
            #expect(ledger.checkpoint.size == 4_003)
        }
        #expect(try fixture.audit().isClean)
    }

    @Test func aFullMapRefusesAndReadsGoOn() throws {
        let fixture = try LedgerFixture()
        fixture.settings.mapBytes = 1 << 20
        fixture.settings.maximumMapBytes = 2 << 20
        let size = try fixture.whileOpen { ledger in
            var refusal: LedgerError?
            for _ in 0..<100 where refusal == nil {
                do {
                    _ = try ledger.submit((0..<100).map { _ in try Sample.deposit() })
                } catch let error as LedgerError {
                    refusal = error
                }
            }
            #expect(refusal == .storeFull(reason: "the map has reached its limit"))
            #expect(!ledger.acceptsAppends)
            let size = ledger.checkpoint.size
            #expect(try ledger.entry(at: size - 1).index == size - 1)
            _ = try ledger.proveInclusion(of: 1)
            return size
        }
        // With more room it goes on where it was.
        fixture.settings.maximumMapBytes = 64 << 20
        try fixture.whileOpen { ledger in
            #expect(ledger.checkpoint.size >= size)
            _ = try ledger.submit((0..<100).map { _ in try Sample.deposit() })
            #expect(ledger.acceptsAppends)
        }
        #expect(try fixture.audit().isClean)
    }

    @Test func aJumpOfTheClockIsRecordedAndTimeGoesOn() throws {
        let fixture = try LedgerFixture()
        let wall = Mutex<Int64>(LedgerClock().now)
        let steady = Mutex<Int64>(5_000_000)
        let clock = LedgerClock(wall: { wall.withLock { $0 } }, steady: { steady.withLock { $0 } })
        let ledger = try fixture.open(clock: clock)
        let before = try ledger.submit([Sample.deposit()]).receipts[0]
        // An hour back, while a second went by.
        wall.withLock { $0 -= 3_600_000_000 }
        steady.withLock { $0 += 1_000_000 }
        let after = try ledger.submit([Sample.deposit()]).receipts[0]
        #expect(after.time > before.time)
        #expect(after.index == before.index + 2)
        let jump = try Entry(ledger.entry(at: before.index + 1).bytes)
        #expect(jump.type == "system.clock_jumped" && jump.submitter == "evidenced")
        #expect(jump.body["microseconds"] == .int(-3_601_000_000))
        // A second more or less is no jump.
        wall.withLock { $0 += 1_500_000 }
        let calm = try ledger.submit([Sample.deposit()]).receipts[0]
        #expect(calm.index == after.index + 1)
        ledger.stop()
        #expect(try fixture.audit().isClean)
    }

    @Test func whileATimeIsNotConfirmedAppendsAreRefusedAndReadsGoOn() throws {
        let fixture = try LedgerFixture()
        let wall = Mutex<Int64>(LedgerClock().now)
        let steady = Mutex<Int64>(5_000_000)
        let lines = Mutex<[String]>([])
        let clock = LedgerClock(
            wall: { wall.withLock { $0 } },
            steady: { steady.withLock { $0 } },
            synchronized: { false }
        )
        let ledger = try fixture.open(clock: clock, notice: { line in lines.withLock { $0.append(line) } })
        let before = try ledger.submit([Sample.deposit()]).receipts[0]
        // Ten years ahead.
        wall.withLock { $0 += 315_360_000_000_000 }
        let reason = "the clock jumped forward by 315360000 seconds"
        #expect(throws: LedgerError.clockUnconfirmed(reason: reason)) { try ledger.submit([Sample.deposit()]) }
        #expect(!ledger.acceptsAppends)
        #expect(try ledger.gauges().clockHold == reason)
        #expect(try ledger.entry(at: before.index).index == before.index)
        // It was one wrong reading: nothing of it stays.
        wall.withLock { $0 -= 315_360_000_000_000 }
        let after = try ledger.submit([Sample.deposit()]).receipts[0]
        #expect(after.index == before.index + 1)
        #expect(after.time.microseconds - before.time.microseconds < 1_000)
        #expect(ledger.acceptsAppends)
        // Confirmed, it is taken, with the jump recorded before anything else, and without anybody's call.
        wall.withLock { $0 += 315_360_000_000_000 }
        #expect(throws: LedgerError.clockUnconfirmed(reason: reason)) { try ledger.submit([Sample.deposit()]) }
        #expect(ledger.confirmClock())
        for _ in 0..<500 where ledger.checkpoint.size == after.index + 1 { usleep(10_000) }
        let jump = try Entry(ledger.entry(at: after.index + 1).bytes)
        #expect(jump.type == "system.clock_jumped" && jump.time.microseconds == wall.withLock { $0 })
        #expect(jump.body["microseconds"] == .int(315_360_000_000_000))
        #expect(jump.body["confirmed"] == .string("operator"))
        #expect(!ledger.confirmClock())
        ledger.stop()
        #expect(lines.withLock { $0.count { $0.contains("appends are refused") } } == 2)
        #expect(try fixture.audit().isClean)
    }

    /// That an event was recorded, and is the same, is only read.
    @Test func whatWasRecordedIsAnsweredWhileTheClockIsHeldOrTheStoreIsFull() throws {
        for isHeld in [true, false] {
            let fixture = try LedgerFixture()
            fixture.settings.mapBytes = 1 << 20
            fixture.settings.maximumMapBytes = 2 << 20
            let wall = Mutex<Int64>(LedgerClock().now)
            let clock = LedgerClock(wall: { wall.withLock { $0 } }, steady: { 0 }, synchronized: { false })
            let ledger = try fixture.open(clock: clock)
            let event = try Sample.deposit()
            let other = try Sample.deposit(request: event.request)
            let receipts = try ledger.submit([event, Sample.deposit()]).receipts
            let new = try Sample.deposit()
            if isHeld {
                wall.withLock { $0 += 315_360_000_000_000 }
            } else {
                while (try? ledger.submit((0..<100).map { _ in try Sample.deposit() })) != nil {}
            }
            // One new event is too much for a full store only where it needs a page more than there are.
            let size = ledger.checkpoint.size
            if isHeld { #expect(throws: LedgerError.self) { try ledger.submit([new]) } }
            let again = try ledger.submit([event, event])
            #expect(again.receipts.map(\.index) == [receipts[0].index, receipts[0].index])
            #expect(again.receipts.allSatisfy { $0.duplicate && $0.leaf == receipts[0].leaf })
            #expect(again.checkpoint.size == size)
            #expect(throws: LedgerError.requestConflict(event: 0, index: receipts[0].index)) {
                try ledger.submit([other])
            }
            // A call with anything new in it is refused whole.
            if isHeld {
                #expect(throws: LedgerError.clockUnconfirmed(reason: "the clock jumped forward by 315360000 seconds")) {
                    try ledger.submit([event, new])
                }
                wall.withLock { $0 -= 315_360_000_000_000 }
            }
            #expect(ledger.checkpoint.size == size)
            ledger.stop()
            #expect(try fixture.audit().isClean)
        }
    }

    @Test func aTimeBeyondTheLastYearIsNeverWritten() throws {
        let fixture = try LedgerFixture()
        let wall = Mutex<Int64>(LedgerClock().now)
        let clock = LedgerClock(wall: { wall.withLock { $0 } }, steady: { 0 }, synchronized: { true })
        let ledger = try fixture.open(clock: clock)
        _ = try ledger.submit([Sample.deposit()])
        wall.withLock { $0 = LedgerTime.maximum.microseconds + 1 }
        #expect(throws: LedgerError.clockUnconfirmed(reason: "the clock is beyond the year 9999")) {
            try ledger.submit([Sample.deposit()])
        }
        #expect(ledger.confirmClock())
        #expect(throws: LedgerError.self) { try ledger.submit([Sample.deposit()]) }
        ledger.stop()
        #expect(try fixture.audit().isClean)
        // After an entry of the last microsecond there is none.
        var state = ChainState()
        state.time = LedgerTime(microseconds: LedgerTime.maximum.microseconds - 1)
        #expect(state.nextTime(0) == LedgerTime.maximum)
        #expect(state.nextTime(LedgerTime.maximum.microseconds + 1) == nil)
        state.time = LedgerTime.maximum
        #expect(state.nextTime(0) == nil)
    }

    @Test func aJumpSeenWhileTheStoreIsFullIsRecordedLater() throws {
        let fixture = try LedgerFixture()
        fixture.settings.mapBytes = 1 << 20
        fixture.settings.maximumMapBytes = 2 << 20
        let wall = Mutex<Int64>(LedgerClock().now)
        let clock = LedgerClock(wall: { wall.withLock { $0 } }, steady: { 0 })
        let ledger = try fixture.open(clock: clock)
        var isFull = false
        for _ in 0..<100 where !isFull {
            do { _ = try ledger.submit((0..<100).map { _ in try Sample.deposit() }) } catch { isFull = true }
        }
        #expect(isFull)
        let size = ledger.checkpoint.size
        for _ in 0..<2 {
            wall.withLock { $0 += 60_000_000 }
            #expect(throws: LedgerError.self) { try ledger.submit((0..<100).map { _ in try Sample.deposit() }) }
        }
        // Where there is room for it alone, it is not long in coming.
        for _ in 0..<500 where ledger.checkpoint.size == size { usleep(10_000) }
        var jumps: [Int64] = []
        for index in size..<ledger.checkpoint.size {
            let entry = try Entry(ledger.entry(at: index).bytes)
            if entry.type == "system.clock_jumped" { jumps.append(entry.body["microseconds"]?.int ?? 0) }
        }
        #expect(jumps.reduce(0, +) == 120_000_000)
        ledger.stop()
        #expect(try fixture.audit().isClean)
    }

    @Test func aClockBehindTheNewestEntryIsSaidAtTheStart() throws {
        let fixture = try LedgerFixture()
        let now = LedgerClock().now
        func appendAnHourAhead() throws -> Receipt {
            let ledger = try fixture.open(clock: LedgerClock(wall: { now + 3_600_000_000 }, steady: { 0 }))
            defer { ledger.stop() }
            return try ledger.submit([Sample.deposit()]).receipts[0]
        }
        let last = try appendAnHourAhead()
        let lines = Mutex<[String]>([])
        let ledger = try fixture.open(
            clock: LedgerClock(wall: { now }, steady: { 0 }),
            notice: { line in lines.withLock { $0.append(line) } }
        )
        let next = try ledger.submit([Sample.deposit()]).receipts[0]
        // The stop's entry, then those of the start: a microsecond apart.
        #expect(next.time.microseconds == last.time.microseconds + 4)
        let status = try Entry(ledger.entry(at: next.index - 1).bytes)
        #expect(status.type == "system.clock_status")
        #expect(status.body["behind"] == .int(last.time.microseconds + 1 - now))
        #expect(try ledger.gauges().clockBehind == next.time.microseconds - now)
        #expect(lines.withLock { $0.count { $0.contains("3600 seconds behind the newest entry") } } == 1)
        ledger.stop()
        #expect(try fixture.audit().isClean)
    }

    @Test func startsAndStopsAreRecorded() throws {
        let fixture = try LedgerFixture()
        for _ in 0..<2 { try fixture.whileOpen { _ in } }
        try fixture.read { transaction, schema in
            var types: [String] = []
            for index in 0..<(try schema.size(transaction)) {
                types.append(try Entry(schema.entry(transaction, index)).type)
            }
            let run = ["system.started", "system.clock_status", "system.stopped"]
            #expect(types == ["ledger.created"] + run + run)
            let second = try Entry(schema.entry(transaction, 4))
            #expect(second.body["clean"] == .bool(true))
        }
    }
}
