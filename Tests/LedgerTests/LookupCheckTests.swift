import Files
import Glibc
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// The check of a look-up index that is too large for the start.
@Suite struct LookupCheckTests {
    /// A second index of the ledger, a copy of the one it has, that nobody has checked.
    private func uncheckedCopy(_ ledger: Ledger, _ fixture: LedgerFixture) throws -> LookupIndex {
        let directory = fixture.directory + "/copy"
        try FileSystem.makeDirectory(directory)
        try copyFile(fixture.locations.index + "/data.mdb", directory + "/data.mdb")
        return try LookupIndex(
            directory: directory,
            mapBytes: 64 << 20,
            readers: 16,
            key: fixture.keyring.indexKey,
            ledger: ledger.identity.encoded,
            checkedEntries: LookupBlock.entries - 1
        )
    }

    @Test func nothingButRequestKeysIsBelievedBeforeAndNothingIsStored() throws {
        let large = try LargeLedger(calls: 34)
        let deposit = try #require(large.deposits.first)
        let (document, places) = try #require(large.documents.first)
        let digest = try #require(Digest(hex: document))
        var filter = EntryFilter()
        filter.submitter = deposit.submitter
        try large.fixture.whileOpen { ledger in
            // As large as it may be for the start, it is checked there.
            #expect(try ledger.gauges().isIndexChecked)
            let index = try uncheckedCopy(ledger, large.fixture)
            let tail = try ledger.lookups.ready().tail
            try ledger.lookups.put(index) {
                let records = try #require(tail.oldest(tail.count, below: .max))
                index.tail.add(records)
            }
            #expect(try !ledger.gauges().isIndexChecked)
            // What was recorded is known, and what is new is recorded.
            let again = try ledger.submit([deposit.submission], as: deposit.submitter).receipts[0]
            #expect(again.duplicate && again.index == deposit.index)
            let contract = StreamID(kind: .contract, id: try Sample.id())
            let subject = StreamID(kind: .subject, id: try Sample.id())
            for _ in 0..<34 {
                let events = try (0..<500).map { _ in try Sample.viewed(contract: contract, subject: subject) }
                _ = try ledger.submit(events)
            }
            let busy = LedgerError.busy
            #expect(throws: busy) { try ledger.find(document: digest) }
            #expect(throws: busy) { try ledger.index(ofLeaf: ledger.entry(at: 5).leaf) }
            #expect(throws: busy) { try ledger.list(filter, from: nil, limit: 1, reverse: false) }
            // A whole block waits, for longer than the one who stores sleeps.
            usleep(200_000)
            #expect(index.tail.count > LookupBlock.entries)
            #expect(try index.indexed() == LookupBlock.entries)
            try index.check()
            #expect(try ledger.gauges().isIndexChecked)
            #expect(try ledger.find(document: digest).entries.map(\.index) == places)
            #expect(try ledger.index(ofLeaf: ledger.entry(at: 5).leaf) == 5)
            for _ in 0..<500 where try index.indexed() == LookupBlock.entries { usleep(20_000) }
            #expect(try index.indexed() == 2 * LookupBlock.entries)
        }
    }

    @Test func aCheckBehindTheStartEndsAndFindsDamage() throws {
        let large = try LargeLedger(calls: 34)
        large.fixture.settings.checkedEntries = 0
        let (document, places) = try #require(large.documents.first)
        let digest = try #require(Digest(hex: document))
        for isDamaged in [false, true] {
            if isDamaged {
                try large.tamperIndex("documents") { transaction, database in
                    let key = LookupIndex.key(0)
                    let row = try #require(try transaction.get(database, key))
                    // The earliest record names the entry beside its own: no other check of the start sees it.
                    let ends = stride(from: 18, through: row.count - LookupSeal.bytes, by: 18)
                    let end = try #require(ends.min { row.offset(at: $0 - 2) < row.offset(at: $1 - 2) })
                    try transaction.set(database, key, row.changed(at: end - 1))
                }
            }
            let lines = Lines()
            let ledger = try large.fixture.open(notice: { lines.add($0) })
            defer { ledger.stop() }
            #expect(
                try !ledger.submit([Sample.deposit(digest: String(repeating: "cd", count: 32))]).receipts[0].duplicate
            )
            // No other answer than that it is too early, or the right one.
            var answer = Result { try ledger.find(document: digest) }
            for _ in 0..<2_000 {
                guard case .failure(let error as LedgerError) = answer, error == .busy else { break }
                usleep(10_000)
                answer = Result { try ledger.find(document: digest) }
            }
            #expect(try answer.get().entries.map(\.index) == places)
            #expect(lines.all.contains { $0.contains("moved aside") && $0.contains("documents") } == isDamaged)
        }
    }

    /// A stop does not wait for the check.
    @Test func theCheckIsLeftWhenAsked() throws {
        struct Enough: Error {}
        let large = try LargeLedger(calls: 34)
        try large.fixture.whileOpen { ledger in
            let index = try uncheckedCopy(ledger, large.fixture)
            var rows = 0
            #expect(throws: Enough.self) {
                try index.check {
                    rows += 1
                    if rows == 3 { throw Enough() }
                }
            }
            #expect(rows == 3 && !index.isChecked)
        }
    }

    // MARK: What the system can't read

    /// A page that the disk doesn't give back is damage of the index, as one is that it gives back changed: the index is
    /// made anew, and nothing ends.
    @Test func aReadThatFailsIsDamageOfTheIndex() throws {
        let large = try LargeLedger(calls: 34)
        try withFollower(large.fixture) { follower, lookups, lines in
            let path = large.fixture.locations.index + "/data.mdb"
            try whileUnreadable(path) { follower.check() }
            #expect(throws: LedgerError.busy) { try lookups.ready() }
            #expect(lookups.damage.map { $0.what.contains("reading page") } == true)
            #expect(try follower.open())
            #expect(try lookups.checked().indexed() == LookupBlock.entries)
            #expect(lines.all.contains { $0.contains("moved aside") && $0.contains("reading page") })
        }
    }

    /// One that finds no place for a reader, or no memory, is tried again.
    @Test func aCheckThatFindsNoPlaceWaits() throws {
        let large = try LargeLedger(calls: 34)
        large.fixture.settings.readers = 1
        // It keeps as many places as it was made with.
        #expect(unlink(large.fixture.locations.index + "/lock.mdb") == 0)
        try withFollower(large.fixture) { follower, lookups, lines in
            let index = try lookups.ready()
            let thread = try holding(large.fixture.settings.ownReaders + 1, of: index) {
                let thread = startThread { follower.check() }
                for _ in 0..<1_000 where lines.all.isEmpty { usleep(10_000) }
                #expect(lines.all.contains { $0.contains("is not checked, which is tried again") })
                #expect(!index.isChecked)
                return thread
            }
            pthread_join(thread, nil)
            #expect(try lookups.checked() === index)
            #expect(lines.all.count == 1)
        }
    }

    /// An index in place that nobody has checked, of a ledger that is closed.
    private func withFollower(
        _ fixture: LedgerFixture,
        _ body: (LookupFollower, Lookups, Lines) throws -> Void
    ) throws {
        try fixture.reopened { environment, schema in
            let lookups = Lookups()
            let lines = Lines()
            let identity = try environment.read { try LedgerOpening.identity($0, schema) }
            let follower = LookupFollower(
                lookups,
                LookupLog(
                    environment: environment,
                    schema: schema,
                    claimKeys: try ClaimKeys(
                        reading: fixture.locations.keys,
                        fixture.keyring,
                        environment.read { try StoredKeys($0, schema) }
                    ),
                    losses: .before(0)
                ),
                directory: fixture.locations.index,
                settings: fixture.settings,
                keyring: fixture.keyring,
                identity: identity,
                notice: { lines.add($0) },
                fatal: { fatalError("the follower ended: \($0)") }
            )
            #expect(try !follower.open(checkedEntries: 0))
            #expect(try !lookups.ready().isChecked)
            try body(follower, lookups, lines)
        }
    }

    /// Runs `body` while nothing can be read through the descriptors that a file is open by.
    private func whileUnreadable(_ path: String, _ body: () throws -> Void) throws {
        let directory = Glibc.open("/", O_RDONLY)
        defer { close(directory) }
        var open: [(descriptor: Int32, kept: Int32)] = []
        for name in names(in: "/proc/self/fd") {
            var target = [CChar](repeating: 0, count: 4_096)
            guard let descriptor = Int32(name), readlink("/proc/self/fd/" + name, &target, target.count - 1) > 0,
                strcmp(target, path) == 0
            else { continue }
            open.append((descriptor, dup(descriptor)))
            dup2(directory, descriptor)
        }
        #expect(!open.isEmpty)
        defer {
            for (descriptor, kept) in open {
                dup2(kept, descriptor)
                close(kept)
            }
        }
        try body()
    }

    /// Runs `body` while as many places for readers are taken.
    private func holding<Result>(
        _ places: Int,
        of index: LookupIndex,
        _ body: () throws -> Result
    ) throws -> Result {
        guard places > 0 else { return try body() }
        return try index.environment.read { _ in try holding(places - 1, of: index, body) }
    }
}
