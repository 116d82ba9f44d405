import Files
import Glibc
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// What leads to the entries of a story, and what an entry says where that decides whether it is listed, may be damaged: a
/// list is whole or refused. Bits are flipped in the file under an open ledger, which reads it through its map.
@Suite struct StreamRowsTests {
    private static let story = StreamID(kind: .contract, id: ID128(high: 1 << 20, low: 7))

    /// A ledger that holds a story of ten entries, others between them, as long as `body` runs; gives it the entries, and
    /// the bytes of the store's file.
    private func withStory(_ body: (Ledger, [StoredEntry], StoreFile) throws -> Void) throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            var indexes: [UInt64] = []
            for number in UInt64(0)..<10 {
                let other = StreamID(kind: .contract, id: ID128(high: (2 + number) << 20, low: 7))
                let subject = StreamID(kind: .subject, id: ID128(high: 1, low: 1))
                let events = try [StreamRowsTests.story, other].map {
                    try Sample.viewed(contract: $0, subject: subject)
                }
                indexes.append(try ledger.submit(events).receipts[0].index)
            }
            let file = try StoreFile(fixture.locations.store + "/data.mdb")
            try body(ledger, indexes.map { try ledger.entry(at: $0) }, file)
        }
    }

    /// What lists of the story may be asked, and what they must give: indexes, and where the next page begins.
    private func lists(
        of entries: [StoredEntry],
        size: UInt64
    ) throws -> [(ask: (Ledger) throws -> EntryPage, indexes: [UInt64])] {
        var filter = EntryFilter()
        filter.stream = StreamRowsTests.story
        var typed = filter
        typed.type = "contract.viewed"
        let all = entries.map(\.index)
        let (whole, combined) = (filter, typed)
        var lists: [((Ledger) throws -> EntryPage, [UInt64])] = [
            ({ try $0.list(whole, from: nil, limit: 100, reverse: false) }, all),
            ({ try $0.list(whole, from: nil, limit: 100, reverse: true) }, all.reversed()),
            ({ try $0.list(combined, from: nil, limit: 100, reverse: false) }, all),
        ]
        for (number, index) in all.enumerated() {
            lists.append(
                ({ try $0.list(whole, from: index, limit: 3, reverse: false) }, Array(all[number...].prefix(3)))
            )
            lists.append(
                ({ try $0.list(whole, from: index, limit: 3, reverse: true) }, all[...number].suffix(3).reversed())
            )
            var since = filter
            since.since = try Entry(entries[number].bytes).time
            let late = since
            lists.append(({ try $0.list(late, from: nil, limit: 2, reverse: false) }, Array(all[number...].prefix(2))))
        }
        return lists.map { (ask: $0.0, indexes: $0.1) }
    }

    /// Asks every list; each is what it must be, or refused for damage.
    ///
    /// - Returns: how many were refused.
    private func ask(
        _ lists: [(ask: (Ledger) throws -> EntryPage, indexes: [UInt64])],
        _ ledger: Ledger,
        _ damage: String
    ) throws -> Int {
        var refused = 0
        for (number, list) in lists.enumerated() {
            do {
                let page = try list.ask(ledger)
                #expect(page.entries.map(\.index) == list.indexes, "list \(number), \(damage)")
                if let next = page.next, let last = list.indexes.last, let first = list.indexes.first {
                    #expect(next == (last >= first ? last + 1 : last - 1), "list \(number), \(damage)")
                }
            } catch is StoreDamage {
                refused += 1
            }
        }
        return refused
    }

    @Test func aListIsWholeOrRefusedWhateverARowOfTheStreamSays() throws {
        try withStory { ledger, entries, file in
            let lists = try lists(of: entries, size: ledger.checkpoint.size)
            #expect(try ask(lists, ledger, "nothing is damaged") == 0)
            let isLong = getenv("EVIDENCED_LONG") != nil
            for number in UInt64(0)..<10 {
                // Behind the key of 25 bytes: the index of the entry, of which the low bits lead to others there are.
                for bit in (0..<64).reversed() where isLong || bit >= 57 || bit % 16 == 0 {
                    let place = 25 + bit / 8
                    let key = StoreKey.stream(StreamRowsTests.story, number: number)
                    let refused = try file.whileFlipped(key, at: place, by: 0x80 >> UInt8(bit % 8)) {
                        try ask(lists, ledger, "number \(number), bit \(bit)")
                    }
                    // Those of the whole story at least.
                    #expect(refused >= 3, "number \(number), bit \(bit)")
                }
            }
            #expect(try ask(lists, ledger, "all is as it was") == 0)
        }
    }

    @Test func aListIsWholeOrRefusedWhateverAnEntrySays() throws {
        try withStory { ledger, entries, file in
            let lists = try lists(of: entries, size: ledger.checkpoint.size)
            let isLong = getenv("EVIDENCED_LONG") != nil
            for entry in isLong ? entries : [entries[4]] {
                for place in entry.bytes.indices {
                    let refused = try file.whileFlipped(entry.bytes, at: place, by: 1 << UInt8(place % 7)) {
                        try ask(lists, ledger, "entry \(entry.index), byte \(place)")
                    }
                    #expect(refused >= 3, "entry \(entry.index), byte \(place)")
                }
            }
        }
    }

    /// That there is no entry with a leaf hash is said only where none can have had it.
    @Test func aLeafThatTurnedIsNotOneThatNeverWas() throws {
        try withStory { ledger, entries, file in
            for (place, leaf) in entries.map(\.leaf).enumerated() {
                try file.whileFlipped(Array(leaf.bytes), at: place * 3, by: 4) {
                    #expect(throws: StoreDamage.self) { try ledger.index(ofLeaf: leaf) }
                }
                #expect(try ledger.index(ofLeaf: leaf) == entries[place].index)
            }
            #expect(throws: LedgerError.self) { try ledger.index(ofLeaf: .zero) }
        }
    }
}

/// The store's file, to be changed under an open ledger that writes nothing meanwhile.
private struct StoreFile {
    let path: String
    private let bytes: [UInt8]

    init(_ path: String) throws {
        self.path = path
        bytes = try FileSystem.read(path, limit: 1 << 30)
    }

    /// Runs `body` while some bits behind the beginning of what the file holds, wherever it does, are flipped.
    @discardableResult
    func whileFlipped<Result>(
        _ content: [UInt8],
        at place: Int,
        by mask: UInt8,
        _ body: () throws -> Result
    ) throws -> Result {
        let places = self.places(of: content)
        try #require(!places.isEmpty)
        let descriptor = Glibc.open(path, O_WRONLY)
        defer { close(descriptor) }
        func flip(_ mask: UInt8) throws {
            for found in places {
                try FileSystem.write([bytes[found + place] ^ mask], to: descriptor, at: found + place, name: path)
            }
        }
        try flip(mask)
        let result = Swift.Result { try body() }
        try flip(0)
        return try result.get()
    }
    /// Where the file holds what begins with a byte that is rare enough.
    private func places(of content: [UInt8]) -> [Int] {
        bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return [] }
            var found: [Int] = []
            var offset = 0
            while let place = memchr(start + offset, Int32(content[0]), bytes.count - offset - content.count) {
                offset = UnsafeRawPointer(place) - start
                if memcmp(place, content, content.count) == 0 { found.append(offset) }
                offset += 1
            }
            return found
        }
    }
}
