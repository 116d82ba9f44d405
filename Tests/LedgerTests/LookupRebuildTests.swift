import Files
import LedgerFormat
import Testing

@testable import Ledger

@Suite struct LookupRebuildTests {
    /// Where a damaged index once let an event in twice, the first counts; whoever makes the index anew says so, and the
    /// ledger goes on.
    @Test func aRebuildKeepsTheFirstOfTwo() throws {
        let fixture = try LedgerFixture()
        let event = try Sample.deposit()
        let (first, second) = try fixture.whileOpen { ledger in
            let first = try ledger.submit([event]).receipts[0]
            // As if the index had forgotten it.
            let tail = try ledger.lookups.ready().tail
            tail.drop(try #require(tail.oldest(tail.count, below: .max)))
            return (first, try ledger.submit([event]).receipts[0])
        }
        #expect(!second.duplicate && second.index > first.index)
        for isDeleted in [false, true] {
            if isDeleted { removeTree(fixture.locations.index) }
            let lines = Lines()
            let ledger = try fixture.open(notice: { lines.add($0) })
            let again = try ledger.submit([event]).receipts[0]
            #expect(again.duplicate && again.index == first.index)
            #expect(try !ledger.submit([Sample.deposit()]).receipts[0].duplicate)
            #expect(try ledger.gauges().repeated == 1)
            #expect(lines.all.contains { $0.contains("entry \(second.index) repeats the submitter and request") })
            ledger.stop()
        }
    }

    /// Nothing is recorded while nobody knows what was recorded; reads go on, and so does everything a moment later.
    @Test func aCondemnedIndexIsMadeAnewWhileReadsGoOn() throws {
        let fixture = try LedgerFixture()
        let event = try Sample.deposit()
        let lines = Lines()
        let ledger = try fixture.open(notice: { lines.add($0) })
        defer { ledger.stop() }
        let first = try ledger.submit([event]).receipts[0]
        ledger.lookups.condemn(LookupDamage("for the test"))
        #expect(try ledger.entry(at: first.index).index == first.index)
        #expect(try ledger.proveInclusion(of: first.index).index == first.index)
        var answer = Result { try ledger.submit([event]) }
        while case .failure(let error as LedgerError) = answer, error == .busy {
            answer = Result { try ledger.submit([event]) }
        }
        let again = try answer.get().receipts[0]
        #expect(again.duplicate && again.index == first.index)
        #expect(lines.all.contains { $0.contains("moved aside") && $0.contains("for the test") })
        #expect(names(in: fixture.locations.index).contains("data.mdb.damaged"))
    }

    @Test(arguments: ["index-of.new", "index-of.new.part"])
    func whatACrashLeavesOfTheMarkerIsNoObstacle(_ name: String) throws {
        let fixture = try LedgerFixture()
        try FileSystem.makeDirectory(fixture.locations.index)
        try FileSystem.create(fixture.locations.index + "/" + name, Array("evidenced look-up".utf8), mode: 0o600)
        try fixture.whileOpen { _ in }
        #expect(!names(in: fixture.locations.index).contains(name))
    }

    /// What a directory holds that is not this ledger's index stays as it is.
    @Test func aDirectoryOfOthersIsRefused() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { _ in }
        let other = try LedgerFixture()
        for place in [fixture.locations.store, other.locations.index, other.directory] {
            try other.whileOpen { _ in }
            let before = names(in: place).sorted()
            let refusal = try other.refusal {
                try Ledger(
                    at: LedgerLocations(
                        store: place == other.locations.index ? fixture.locations.store : other.locations.store,
                        index: place,
                        keys: place == other.locations.index ? fixture.locations.keys : other.locations.keys,
                        lock: place == other.locations.index ? fixture.locations.lock : other.locations.lock
                    ),
                    keyring: place == other.locations.index ? fixture.keyring : other.keyring,
                    version: "1.0.0",
                    fatal: { fatalError("\($0)") }
                )
            }
            #expect(refusal.code == .otherIndex)
            #expect(names(in: place).sorted() == before)
        }
    }
}
