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
        let wall = Mutex<Int64>(1_800_000_000_000_000)
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
