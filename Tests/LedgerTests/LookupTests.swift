import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

@Suite struct LookupTests {
    /// Every filter, order and page size against the same question asked of all entries.
    @Test func listsAgreeWithANaiveFilter() throws {
        let fixture = try LedgerFixture()
        let contracts = try (0..<3).map { _ in StreamID(kind: .contract, id: try Sample.id()) }
        let subject = StreamID(kind: .subject, id: try Sample.id())
        try fixture.whileOpen { ledger in
            for number in 0..<30 {
                let submitter = ["one", "two"][number % 2]
                _ = try ledger.submit([Sample.viewed(contract: contracts[number % 3], subject: subject)], as: submitter)
                if number % 5 == 0 { _ = try ledger.submit([Sample.deposit()], as: submitter) }
            }
            let all = try (0..<ledger.checkpoint.size).map { try ledger.entry(at: $0) }
            let entries = try all.map { try Entry($0.bytes) }
            let times = entries.map(\.time)
            let filters = [
                EntryFilter(), EntryFilter(stream: contracts[1]), EntryFilter(type: "evidence.deposited"),
                EntryFilter(submitter: "two"), EntryFilter(stream: contracts[0], submitter: "one"),
                EntryFilter(type: "contract.viewed", submitter: "two", since: times[7], until: times[20]),
                EntryFilter(since: times[11]), EntryFilter(until: times[11]), EntryFilter(stream: subject),
                EntryFilter(since: times[9], until: times[9]), EntryFilter(type: "system.recovered"),
            ]
            for filter in filters {
                let expected = entries.filter { entry in
                    (filter.stream.map { stream in entry.streams.contains { $0.stream == stream } } ?? true)
                        && (filter.type.map { $0 == entry.type } ?? true)
                        && (filter.submitter.map { $0 == entry.submitter } ?? true)
                        && (filter.since.map { entry.time >= $0 } ?? true)
                        && (filter.until.map { entry.time < $0 } ?? true)
                }.map(\.index)
                for reverse in [false, true] {
                    for limit in [1, 3, 100] {
                        var found: [UInt64] = []
                        var next: UInt64?
                        repeat {
                            let page = try ledger.list(filter, from: next, limit: limit, reverse: reverse)
                            #expect(page.entries.count <= limit)
                            found += page.entries.map(\.index)
                            next = page.next
                        } while next != nil
                        #expect(found == (reverse ? expected.reversed() : expected))
                    }
                }
            }
        }
    }

    @Test func documentsAreFoundAtOnceAndAfterRestart() throws {
        let fixture = try LedgerFixture()
        let hex = String(repeating: "e1", count: 32)
        let digest = try #require(Digest(hex: hex))
        let indexes = try fixture.whileOpen { ledger in
            let first = try ledger.submit([Sample.deposit(digest: hex)]).receipts[0].index
            #expect(try ledger.find(document: digest).entries.map(\.index) == [first])
            let second = try ledger.submit([Sample.deposit(), Sample.deposit(digest: hex)]).receipts[1].index
            #expect(try ledger.find(document: digest).entries.map(\.index) == [first, second])
            #expect(try ledger.find(document: .zero).entries.isEmpty)
            let page = try ledger.find(document: digest, limit: 1)
            #expect(page.entries.map(\.index) == [first] && page.next == second)
            let rest = try ledger.find(document: digest, from: second, limit: 1)
            #expect(rest.entries.map(\.index) == [second] && rest.next == nil)
            return [first, second]
        }
        #expect(try fixture.whileOpen { try $0.find(document: digest).entries.map(\.index) } == indexes)
        removeTree(fixture.locations.index)
        #expect(try fixture.whileOpen { try $0.find(document: digest).entries.map(\.index) } == indexes)
    }

    /// Whole blocks stay in the index; what follows them is read from the log again, and nothing is there twice.
    @Test func aRestartKnowsWhatNoWholeBlockHolds() throws {
        let ledger = try LargeLedger(calls: 34)
        #expect(ledger.size > LookupBlock.entries && ledger.size < LookupBlock.entries * 2)
        for isRebuilt in [false, false, true] {
            if isRebuilt { removeTree(ledger.fixture.locations.index) }
            try ledger.fixture.whileOpen { opened in
                #expect(try opened.gauges().indexed == LookupBlock.entries && !opened.wasIndexRebuilt)
                #expect(ledger.deposits.map { $0.index / LookupBlock.entries } == [0, 1])
                for deposit in ledger.deposits {
                    let again = try opened.submit([deposit.submission], as: deposit.submitter).receipts[0]
                    #expect(again.duplicate && again.index == deposit.index)
                    #expect(throws: LedgerError.requestConflict(event: 0, index: deposit.index)) {
                        try opened.submit(
                            [Sample.deposit(request: deposit.submission.request)],
                            as: deposit.submitter
                        )
                    }
                }
                for (digest, indexes) in ledger.documents {
                    #expect(try opened.find(document: #require(Digest(hex: digest))).entries.map(\.index) == indexes)
                }
                for index in [0, LookupBlock.entries - 1, LookupBlock.entries, ledger.size - 1] {
                    #expect(try opened.index(ofLeaf: opened.entry(at: index).leaf) == index)
                }
                let deposited = Set(ledger.documents.values.joined()).sorted()
                let page = try opened.list(
                    EntryFilter(type: "evidence.deposited"),
                    from: nil,
                    limit: 1_000,
                    reverse: true
                )
                #expect(page.entries.map(\.index) == deposited.reversed())
                let starts = try opened.list(EntryFilter(type: "system.started"), from: nil, limit: 10, reverse: false)
                #expect(starts.entries.count >= 1 && starts.entries.first?.index == 1)
            }
        }
        #expect(try ledger.fixture.audit().findings == [])
    }

    @Test func watchersHearOfEveryCheckpoint() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let seen = Sizes()
            let key = ledger.addWatcher { seen.add($0) }
            let outcome = try ledger.submit([Sample.deposit()])
            #expect(seen.values.last == outcome.checkpoint.size)
            ledger.removeWatcher(key)
            let count = seen.values.count
            _ = try ledger.submit([Sample.deposit()])
            #expect(seen.values.count == count)
        }
    }
}

private final class Sizes: Sendable {
    private let state = Mutex<[UInt64]>([])

    func add(_ size: UInt64) { state.withLock { $0.append(size) } }

    var values: [UInt64] { state.withLock { $0 } }
}
