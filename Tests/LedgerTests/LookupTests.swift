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
            let all = try ledger.entries(from: 0, limit: 1_000)
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
        let digest = String(repeating: "e1", count: 32)
        let indexes = try fixture.whileOpen { ledger in
            let first = try ledger.submit([Sample.deposit(digest: digest)]).receipts[0].index
            #expect(try ledger.find(document: digest).map(\.index) == [first])
            let second = try ledger.submit([Sample.deposit(), Sample.deposit(digest: digest)]).receipts[1].index
            #expect(try ledger.find(document: digest).map(\.index) == [first, second])
            #expect(try ledger.find(document: String(repeating: "e2", count: 32)).isEmpty)
            return [first, second]
        }
        #expect(try fixture.whileOpen { try $0.find(document: digest).map(\.index) } == indexes)
        removeTree(fixture.locations.index)
        #expect(try fixture.whileOpen { try $0.find(document: digest).map(\.index) } == indexes)
    }

    /// Look-ups go block by block; equal keys in several blocks are all found.
    @Test func lookupsReachOverBlocks() throws {
        let fixture = try LedgerFixture()
        let index = try LookupIndex(
            directory: fixture.locations.index,
            mapBytes: 64 << 20,
            readers: 8,
            key: [UInt8](repeating: 7, count: 32),
            ledger: [1]
        )
        let digest = String(repeating: "0f", count: 32)
        let positions: [UInt64] = [0, 65_535, 65_536, 131_071, 131_072, 200_000]
        let submitter = SubmitterReference("shop", SHA256Hasher())
        let scope = StreamID(kind: .object, id: try Sample.id())
        let opening = Opening(scope: scope, name: "sha256", salt: [], value: .string(digest))
        let records = try positions.map { position in
            let entry = Entry(
                index: position,
                previous: .zero,
                time: LedgerTime(microseconds: Int64(position)),
                submitter: "shop",
                submission: try Sample.deposit(),
                streams: [],
                claims: []
            )
            return LookupRecord(
                entry: entry,
                leaf: .zero,
                request: RequestReference(submitter: submitter, request: entry.request),
                openings: [[opening]],
                hash: index.hash
            )
        }
        try index.store(records)
        #expect(try index.indexes(ofDocument: digest) == positions)
        #expect(try index.candidates(leaf: .zero) == positions)
        #expect(try index.indexed() == 200_001)
        let upward = try index.indexes(ofType: "evidence.deposited", from: 65_536, limit: 2, reverse: false)
        #expect(upward == [65_536, 131_071])
        let downward = try index.indexes(ofSubmitter: "shop", from: 65_536, limit: 2, reverse: true)
        #expect(downward == [65_536, 65_535])
        #expect(try index.indexes(of: records.map(\.request)) == positions)
        let unknown = RequestReference(submitter: submitter, request: try Sample.request())
        #expect(try index.indexes(of: [unknown]) == [nil])
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
