import Files
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import SeededRandom
import Testing

@testable import Ledger

@Suite struct LookupIndexTests {
    private static func open(_ fixture: LedgerFixture, ledger: [UInt8] = [1]) throws -> LookupIndex {
        try FileSystem.makeDirectory(fixture.locations.index)
        return try LookupIndex(
            directory: fixture.locations.index,
            // Small, so that it has to grow.
            mapBytes: 1 << 18,
            readers: 8,
            key: SecretBytes(copying: [UInt8](repeating: 7, count: 32)),
            ledger: ledger
        )
    }

    /// Every question, answered from two blocks and a tail, against going through all records.
    @Test func answersAreThoseOfGoingThroughAll() throws {
        let fixture = try LedgerFixture()
        let records = SyntheticRecords(2 * Int(LookupBlock.entries) + 700, seed: 3)
        let index = try LookupIndexTests.open(fixture)
        // Entries come into the tail; from there whole blocks move into the environment. At no stage may a record be
        // missing or be there twice.
        try expect(index, SyntheticRecords(0, seed: 3))
        index.tail.add(records.all)
        try expect(index, records)
        for block in records.blocks {
            let oldest = try #require(index.tail.oldest(Int(LookupBlock.entries), below: records.all.last?.index ?? 0))
            #expect(oldest.map(\.index) == block.map(\.index))
            try index.store(oldest)
            // In both for a moment, and found once all the same.
            try expect(index, records)
            index.tail.drop(oldest)
        }
        try expect(index, records)
        #expect(index.tail.oldest(Int(LookupBlock.entries), below: .max) == nil)
        #expect(index.tail.count == 700)
        #expect(try index.indexed() == 2 * LookupBlock.entries)
        for record in [0, 9_999, 16_383, 16_384, 32_767].map({ records.all[$0] }) {
            #expect(try index.contradiction(record) == nil)
        }
        for block in records.blocks {
            let rows = LookupBlock(block, hash: index.hash)
            #expect(try index.agrees(rows) && index.agreesOnDocuments(rows))
        }
    }

    private func expect(_ index: LookupIndex, _ records: SyntheticRecords) throws {
        for digest in records.documents.prefix(5) + [.zero] {
            #expect(try index.indexes(ofDocument: digest) == records.indexes { $0.documents.contains(digest) })
        }
        for record in stride(from: 0, to: records.all.count, by: 4_001).map({ records.all[$0] }) {
            let candidates = try index.candidates(leaf: record.leaf)
            let alike = records.indexes { $0.leaf.bytes.prefix(8) == record.leaf.bytes.prefix(8) }
            #expect(candidates.contains(record.index) && Set(candidates).isSubset(of: alike))
        }
        #expect(try index.candidates(leaf: .zero).isEmpty)
        let references = records.all.map(\.request)
        #expect(try index.indexes(of: references) == records.all.map(\.index))
        let unknown = RequestKey(value: ID128(high: 1 << 63, low: 5))
        for name in SyntheticRecords.submitters + ["nobody"] {
            let reference = RequestReference(submitter: SubmitterReference(name, SHA256Hasher()), request: unknown)
            #expect(try index.indexes(of: [reference]) == [nil])
        }
        let types = Dictionary(grouping: records.all, by: \.type).mapValues { $0.map(\.index) }
        let submitters = Dictionary(grouping: records.all, by: \.submitter).mapValues { $0.map(\.index) }
        for from in [0, 16_383, 16_384, 20_000, 32_768, UInt64.max] {
            for reverse in [false, true] {
                func page(_ all: [UInt64]?, _ limit: Int) -> [UInt64] {
                    let wanted = (all ?? []).filter { reverse ? $0 <= from : $0 >= from }
                    return Array((reverse ? wanted.reversed() : wanted).prefix(limit))
                }
                for name in SyntheticRecords.types + ["evidence.deposite"] {
                    for limit in [1, 100_000] {
                        let found = try index.indexes(ofType: name, from: from, limit: limit, reverse: reverse)
                        #expect(found == page(types[name], limit), "\(name) from \(from)")
                    }
                }
                for name in SyntheticRecords.submitters + ["twoo"] {
                    let found = try index.indexes(ofSubmitter: name, from: from, limit: 700, reverse: reverse)
                    #expect(found == page(submitters[name], 700), "\(name) from \(from)")
                }
            }
        }
    }

    @Test func recordsThatDifferAreContradictions() throws {
        let fixture = try LedgerFixture()
        let records = SyntheticRecords(Int(LookupBlock.entries), seed: 4).all
        let index = try LookupIndexTests.open(fixture)
        try index.store(records)
        let known = try #require(records.first { $0.documents.sha256 != nil && $0.index > 5_000 })
        var strange = DocumentDigests()
        strange.note("sha256", .zero)
        let other = records[Int(known.index) - 1].request
        func record(
            leaf: Digest? = nil,
            type: String? = nil,
            submitter: String? = nil,
            request: RequestReference? = nil,
            documents: DocumentDigests? = nil
        ) -> LookupRecord {
            LookupRecord(
                index: known.index,
                leaf: leaf ?? known.leaf,
                type: type ?? known.type,
                submitter: submitter ?? known.submitter,
                request: request ?? known.request,
                documents: documents ?? known.documents
            )
        }
        for (changed, name) in [
            (record(), nil), (record(leaf: .zero), "leaf hash"), (record(type: "evidence.destroyed"), "type"),
            (record(submitter: "nobody"), "submitter"), (record(request: other), "request key"),
            (record(documents: strange), "document digest"),
            // Claims that cannot be read any more say nothing.
            (record(documents: DocumentDigests()), nil),
        ] {
            #expect(try index.contradiction(changed) == name)
            var block = records
            block[Int(known.index)] = changed
            let rows = LookupBlock(block, hash: index.hash)
            let inOtherRows = ["leaf hash", "type", "submitter"].contains(name)
            #expect(try index.agrees(rows) == !inOtherRows)
            #expect(try index.agreesOnDocuments(rows) == (changed.documents == known.documents))
        }
    }

    @Test func whatIsStoredStaysAcrossARestartOfTheSameLedger() throws {
        let fixture = try LedgerFixture()
        let records = SyntheticRecords(Int(LookupBlock.entries), seed: 5)
        do {
            let index = try LookupIndexTests.open(fixture)
            #expect(try index.indexed() == 0 && index.damages().isEmpty)
            #expect(try index.store(records.all) == [])
        }
        do {
            let index = try LookupIndexTests.open(fixture)
            #expect(try index.indexed() == LookupBlock.entries && index.damages().isEmpty)
            try expect(index, records)
        }
        // One of another ledger or layout is not opened.
        #expect(throws: LookupDamage.self) { try LookupIndexTests.open(fixture, ledger: [2]) }
        do {
            let index = try LookupIndexTests.open(fixture)
            try index.environment.resizeMap(bytes: 64 << 20)
            try index.environment.write { try $0.set(index.meta, LookupIndex.formatKey, Array("other".utf8)) }
            #expect(try index.totals().ledger == nil)
        }
        #expect(throws: LookupDamage.self) { try LookupIndexTests.open(fixture) }
    }

    /// Blocks are only ever added in their order.
    @Test func aBlockIsStoredOnce() throws {
        let fixture = try LedgerFixture()
        let index = try LookupIndexTests.open(fixture)
        let blocks = SyntheticRecords(2 * Int(LookupBlock.entries), seed: 6).blocks
        try index.store(blocks[0])
        #expect(throws: LookupDamage.self) { try index.store(blocks[0]) }
        try index.store(blocks[1])
        #expect(throws: LookupDamage.self) { try index.store(blocks[0]) }
        #expect(try index.indexed() == 2 * LookupBlock.entries)
        #expect(try index.damages().isEmpty)
    }

    /// Of two entries with one request key the first counts, wherever the second is: in the same block, in a later one,
    /// or in the tail.
    @Test func ofRepeatedRequestsTheFirstCounts() throws {
        let fixture = try LedgerFixture()
        let index = try LookupIndexTests.open(fixture)
        let records = SyntheticRecords(2 * Int(LookupBlock.entries) + 10, seed: 7)
        func repeating(_ record: LookupRecord, _ earlier: Int) -> LookupRecord {
            LookupRecord(
                index: record.index,
                leaf: record.leaf,
                type: record.type,
                submitter: records.all[earlier].submitter,
                request: records.all[earlier].request,
                documents: record.documents
            )
        }
        var first = records.blocks[0]
        first[16_000] = repeating(first[16_000], 3)
        #expect(try index.store(first) == [16_000])
        var second = records.blocks[1]
        second[5] = repeating(second[5], 16_383)
        #expect(try index.store(second) == [16_389])
        let rest = [repeating(records.rest[0], 4), records.rest[1], repeating(records.rest[2], 32_769)]
        #expect(index.tail.add(rest, earlier: try index.indexes(of: rest.map(\.request))) == [32_768, 32_770])
        let asked = [3, 16_383, 4, 32_769].map { records.all[$0].request }
        #expect(try index.indexes(of: asked) == [3, 16_383, 4, 32_769])
        index.tail.drop(rest)
        #expect(try index.indexes(of: asked) == [3, 16_383, 4, nil])
        #expect(try index.environment.read { try index.state($0) }.repeated == 2)
        #expect(try index.damages().isEmpty)
    }

    /// Whatever bit of whatever row changes, whatever row is dropped: opening the index finds it; and a look-up of a
    /// request key never says that there is none where there is one.
    @Test func noBitOfAnyRowChangesUnseen() throws {
        let fixture = try LedgerFixture()
        let records = SyntheticRecords(2 * Int(LookupBlock.entries), seed: 8)
        let index = try LookupIndexTests.open(fixture)
        for block in records.blocks { try index.store(block) }
        var random = SeededGenerator(seed: 9)
        for (name, database) in [
            ("requests", index.requests), ("documents", index.documents), ("leaves", index.leaves),
            ("types", index.types), ("submitters", index.submitters), ("meta", index.meta),
        ] {
            let rows = try index.environment.read { transaction in
                var rows: [(key: [UInt8], value: [UInt8])] = []
                try transaction.forEach(database) { rows.append((Array($0), Array($1))) }
                return rows
            }
            func put(_ rows: [(key: [UInt8], value: [UInt8])]) throws {
                try index.environment.write { transaction in
                    try transaction.clear(database)
                    for row in rows { try transaction.set(database, row.key, row.value) }
                }
            }
            for trial in 0..<6 {
                var changed = rows
                let place = Int(random.next() % UInt64(rows.count))
                let bit = UInt8(1) << UInt8(random.next() % 8)
                switch trial {
                case 0: changed.remove(at: place)
                case 1:
                    let at = Int(random.next() % UInt64(rows[place].key.count))
                    changed[place].key[at] ^= bit
                default:
                    let at = Int(random.next() % UInt64(rows[place].value.count))
                    changed[place].value[at] ^= bit
                }
                try put(changed)
                let known = name == "meta" && ["format", "ledger"].contains { rows[place].key == Array($0.utf8) }
                if !known || trial == 0 { #expect(try !seesNothing(index), "\(name), \(trial)") }
                if name == "requests" {
                    for record in try segment(rows[place]).records {
                        guard let found = try? index.indexes(of: [record.reference]) else { continue }
                        #expect(found == [record.index])
                    }
                }
            }
            try put(rows)
            #expect(try index.damages().isEmpty)
        }
    }

    private func segment(_ row: (key: [UInt8], value: [UInt8])) throws -> RequestSegment {
        try row.key.withUnsafeBytes { key in
            try row.value.withUnsafeBytes { try RequestSegment(key: key, value: $0, LookupSeal()) }
        }
    }

    private func seesNothing(_ index: LookupIndex) throws -> Bool {
        do { return try index.damages().isEmpty } catch is LookupDamage { return false }
    }
}
