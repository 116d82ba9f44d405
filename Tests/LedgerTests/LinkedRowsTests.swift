import Files
import Glibc
import LMDB
import LedgerFormat
import SeededRandom
import Testing

@testable import Ledger

/// Rows that name one another show what is missing between them (`ledger-format.md` section 9, "Linked rows").
@Suite struct LinkedRowsTests {
    /// Number 0 and 1 of three streams, and what an entry each would be.
    private static let streams = (1...3).map { StreamID(kind: .contract, id: ID128(high: $0 << 20, low: 7)) }

    /// Whatever bit of a stream's newest row flips, nobody says how long it is; and those beside it, one that is not there
    /// among them, have the length they have, or nobody says that either.
    @Test(arguments: [0, 1, 2])
    func noFlippedBitGivesAnotherLength(damaged: Int) throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            for _ in 0...1 {
                let events = try LinkedRowsTests.streams.map { contract in
                    try Sample.viewed(contract: contract, subject: StreamID(kind: .subject, id: ID128(high: 1, low: 1)))
                }
                _ = try ledger.submit(events)
            }
        }
        let path = fixture.locations.store + "/data.mdb"
        let intact = try FileSystem.read(path, limit: 1 << 30)
        let key = StoreKey.stream(LinkedRowsTests.streams[damaged], number: 1)
        let places = intact.indices.dropLast(key.count).filter { intact[$0...].starts(with: key) }
        #expect(!places.isEmpty)
        let missing = StreamID(kind: .contract, id: ID128(high: 2 << 20, low: 8))
        // The key and, behind it, content and link.
        let isLong = getenv("EVIDENCED_LONG") != nil
        for bit in stride(from: isLong ? 0 : damaged, to: 8 * (25 + 16), by: isLong ? 1 : 7) {
            var bytes = intact
            for place in places { bytes[place + bit / 8] ^= 1 << UInt8(bit % 8) }
            try FileSystem.write(bytes, to: path)
            for (stream, length) in LinkedRowsTests.streams.map({ ($0, UInt64(2)) }) + [(missing, UInt64(0))] {
                do {
                    let found = try fixture.read { try $1.length($0, of: stream) }
                    #expect(found == length && stream != LinkedRowsTests.streams[damaged], "bit \(bit): \(stream)")
                } catch is StoreDamage {}
            }
            if bit % 100 < 7 { #expect(try !fixture.audit().isClean, "bit \(bit)") }
        }
    }

    /// Rows that come in any order are found, those that never came are not, and all name one another.
    @Test func whatIsInsertedInAnyOrderIsLinked() throws {
        let fixture = try LedgerFixture()
        var random = SeededGenerator(seed: 7)
        var known: Set<UInt64> = []
        for _ in 0..<40 {
            let new = (0..<Int.random(in: 1...60, using: &random))
                .map { _ in UInt64.random(in: 0..<4_000, using: &random) }
            let rows = Set(new).subtracting(known).sorted()
            known.formUnion(rows)
            try fixture.tamper { transaction, schema in
                try schema.scopes.insert(transaction, ascending: rows.count) { position, key, content in
                    key = LinkedRowsTests.key(rows[position])
                    content = StoreKey.number(rows[position])
                }
            }
        }
        try fixture.read { transaction, schema in
            var found: [UInt64] = []
            let areLinked = try schema.scopes.forEach(transaction) { key, content in
                #expect(key.elementsEqual(LinkedRowsTests.key(StoreKey.readNumber(content) ?? .max)))
                found.append(StoreKey.readNumber(content) ?? .max)
            }
            #expect(areLinked && found == known.sorted())
            for number in UInt64(0)..<4_000 {
                let content = try schema.scopes.withContent(transaction, LinkedRowsTests.key(number)) { Array($0) }
                #expect(content == (known.contains(number) ? StoreKey.number(number) : nil))
            }
        }
        // One that is there is not written over.
        try fixture.tamper { transaction, schema in
            #expect(throws: StoreDamage.self) {
                try schema.scopes.insert(transaction, ascending: 1) { _, key, _ in
                    key = LinkedRowsTests.key(known.first ?? 0)
                }
            }
        }
    }

    private static func key(_ number: UInt64) -> [UInt8] {
        StoreKey.number(number + 1) + [UInt8](repeating: 9, count: 9)
    }
}
