import Glibc
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

@Suite struct AppendTests {
    @Test func receiptsNumberChainAndTimeTheEntries() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let start = ledger.checkpoint.size
            var receipts: [Receipt] = []
            for _ in 0..<5 { receipts += try ledger.submit([Sample.deposit()]).receipts }
            receipts += try ledger.submit((0..<7).map { _ in try Sample.deposit() }).receipts
            #expect(receipts.first.map { $0.index >= start } == true)
            for (receipt, next) in zip(receipts, receipts.dropFirst()) {
                #expect(next.index == receipt.index + 1)
                #expect(next.time > receipt.time)
                let entry = try Entry(ledger.entry(at: next.index).bytes)
                #expect(entry.previous == receipt.leaf)
                #expect(entry.submitter == "shop")
            }
            var hasher = SHA256Hasher()
            for receipt in receipts { #expect(hasher.leaf(try ledger.entry(at: receipt.index).bytes) == receipt.leaf) }
        }
    }

    @Test func theSameRequestGivesTheFirstReceiptAgain() throws {
        let fixture = try LedgerFixture()
        let submission = try Sample.deposit()
        let first = try fixture.whileOpen { ledger in
            let first = try ledger.submit([submission])
            let second = try ledger.submit([submission])
            #expect(second.receipts[0].index == first.receipts[0].index)
            #expect(second.receipts[0].leaf == first.receipts[0].leaf)
            #expect(second.receipts[0].time == first.receipts[0].time)
            #expect(!first.receipts[0].duplicate && second.receipts[0].duplicate)
            #expect(second.checkpoint.size == first.checkpoint.size)
            return first.receipts[0]
        }
        // Across a restart, and with an index that has to be made anew.
        removeTree(fixture.locations.index)
        try fixture.whileOpen { ledger in
            let again = try ledger.submit([submission]).receipts[0]
            #expect(again.index == first.index && again.duplicate)
        }
    }

    @Test func aRequestKeyBelongsToItsSubmitter() throws {
        let fixture = try LedgerFixture()
        let submission = try Sample.deposit()
        try fixture.whileOpen { ledger in
            let one = try ledger.submit([submission], as: "one").receipts[0]
            let other = try ledger.submit([submission], as: "other").receipts[0]
            #expect(other.index != one.index && !other.duplicate)
        }
    }

    @Test func duplicatesWithinOneCallAreFound() throws {
        let fixture = try LedgerFixture()
        let submission = try Sample.deposit()
        try fixture.whileOpen { ledger in
            let receipts = try ledger.submit([submission, Sample.deposit(), submission]).receipts
            #expect(receipts.map(\.duplicate) == [false, false, true])
            #expect(receipts[0].index == receipts[2].index)
        }
    }

    @Test(arguments: ["digest", "file name", "stream", "type"])
    func otherContentUnderAUsedKeyIsRefusedWhole(_ change: String) throws {
        let fixture = try LedgerFixture()
        let request = try Sample.request()
        let object = StreamID(kind: .object, id: try Sample.id())
        try fixture.whileOpen { ledger in
            let first = try ledger.submit([Sample.deposit(object: object, request: request)]).receipts[0]
            let changed =
                switch change {
                case "digest":
                    try Sample.deposit(digest: String(repeating: "cd", count: 32), object: object, request: request)
                case "file name": try Sample.deposit(object: object, request: request, fileName: "other.pdf")
                case "stream": try Sample.deposit(request: request)
                default:
                    try Sample.submission(
                        "evidence.verified",
                        request: request,
                        streams: [object],
                        body: ["deposit": .int(Int64(first.index)), "result": .string("match")]
                    )
                }
            let size = ledger.checkpoint.size
            #expect(throws: LedgerError.requestConflict(event: 1, index: first.index)) {
                try ledger.submit([Sample.deposit(), changed])
            }
            #expect(ledger.checkpoint.size == size)
        }
        #expect(try fixture.audit().isClean)
    }

    @Test func streamsAreNumberedWithoutGaps() throws {
        let fixture = try LedgerFixture()
        let contract = StreamID(kind: .contract, id: try Sample.id())
        let people = try (0..<3).map { _ in StreamID(kind: .subject, id: try Sample.id()) }
        for round in 0..<2 {
            try fixture.whileOpen { ledger in
                for number in 0..<6 {
                    let outcome = try ledger.submit([
                        Sample.viewed(contract: contract, subject: people[number % 3]),
                        Sample.viewed(contract: contract, subject: people[(number + 1) % 3]),
                    ])
                    let entries = try outcome.receipts.map { try Entry(ledger.entry(at: $0.index).bytes) }
                    let numbers = entries.map { $0.streams.first { $0.stream == contract }?.number }
                    #expect(numbers == [Int64(round * 12 + number * 2), Int64(round * 12 + number * 2 + 1)])
                }
                let page = try ledger.list(EntryFilter(stream: people[0]), from: nil, limit: 100, reverse: false)
                let own = try page.entries.map { try Entry($0.bytes).streams.first { $0.stream == people[0] }?.number }
                #expect(own == (0..<Int64(8 * (round + 1) / 2)).map { $0 })
            }
        }
    }

    @Test func manySubmittersAtOnceLoseAndRepeatNothing() throws {
        let fixture = try LedgerFixture()
        let perThread = 150
        let receipts = Mutex<[Receipt]>([])
        try fixture.whileOpen { ledger in
            let threads = (0..<8).map { number in
                startThread {
                    for _ in 0..<perThread {
                        guard let outcome = try? ledger.submit([Sample.deposit()], as: "submitter-\(number)") else {
                            return
                        }
                        receipts.withLock { $0 += outcome.receipts }
                    }
                }
            }
            for thread in threads { pthread_join(thread, nil) }
            let indexes = receipts.withLock { $0.map(\.index) }
            #expect(indexes.count == 8 * perThread)
            #expect(Set(indexes).count == 8 * perThread)
            #expect(ledger.checkpoint.size == UInt64(8 * perThread) + 3)
        }
        #expect(try fixture.audit().isClean)
    }

    @Test func aFullQueueAnswersBusyAtOnce() throws {
        let queue = AppendQueue(maximumEvents: 10, maximumBytes: 1_000)
        func call(_ events: Int, _ bytes: Int) throws -> PendingAppend {
            let submissions = Submissions(try (0..<events).map { _ in try Sample.deposit() })
            return PendingAppend(
                submitter: "shop",
                events: try PreparedEvents(submissions, from: "shop", CommitmentHasher()),
                bytes: bytes,
                complete: { _ in }
            )
        }
        try queue.add(call(10, 100))
        #expect(throws: LedgerError.busy) { try queue.add(call(1, 1)) }
        #expect(queue.take(maximumEvents: 100, maximumBytes: 10_000)?.count == 1)
        try queue.add(call(9, 999))
        try queue.add(call(1, 1))
        #expect(queue.load.events == 10 && queue.load.bytes == 1_000)
        #expect(throws: LedgerError.busy) { try queue.add(call(0, 1)) }
        // A batch takes what fits, and always at least one call.
        #expect(queue.take(maximumEvents: 9, maximumBytes: 10_000)?.count == 1)
        queue.close()
        #expect(throws: LedgerError.stopping) { try queue.add(call(1, 1)) }
        #expect(queue.take(maximumEvents: 0, maximumBytes: 0)?.count == 1)
        #expect(queue.take(maximumEvents: 1, maximumBytes: 1) == nil)
    }

    @Test func appendsAfterStopAreRefused() throws {
        let fixture = try LedgerFixture()
        let ledger = try fixture.open()
        ledger.stop()
        #expect(throws: LedgerError.stopping) { try ledger.submit([Sample.deposit()]) }
    }
}

func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Box { let body: () -> Void; init(_ body: @escaping () -> Void) { self.body = body } }
    var thread = pthread_t()
    pthread_create(
        &thread,
        nil,
        { argument in
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
            return nil
        },
        Unmanaged.passRetained(Box(body)).toOpaque()
    )
    return thread
}
