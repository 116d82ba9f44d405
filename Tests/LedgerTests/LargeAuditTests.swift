import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// Audits of a ledger of several chunks, whose parts are examined apart from each other and joined. An audit of so
/// many entries takes its time, so each is of many damages, which must be told apart.
@Suite struct LargeAuditTests {
    private static let block = LookupBlock.entries

    @Test func everyRowThatLiesIsFoundAndNamed() throws {
        let ledger = try LargeLedger()
        let report = try ledger.fixture.audit()
        #expect(report.findings == [] && report.size == ledger.size)
        #expect(report.indexed == 2 * LargeAuditTests.block)

        // A row of a block that lies alone: nothing that is counted or summed over the index shows it.
        try ledger.changeRow("leaves", LookupIndex.key(1)) { $0 = $0.changed(at: $0.count - 3) }
        let alone = try ledger.fixture.audit().findings
        #expect(alone.map(\.what) == ["the look-up index disagrees about its leaf hash"])
        try ledger.restore()

        var expected = try damageIndex(ledger)
        let indexOnly = expected.count
        expected += try damageStore(ledger.fixture)
        let findings = try ledger.fixture.audit().findings
        for finding in expected { #expect(findings.contains(finding), "\(finding)") }
        // Nothing else, but for the checkpoints the wrong tree rows spoil.
        let others = findings.filter { !expected.contains($0) }
        #expect(others.allSatisfy { $0.what.contains("checkpoint") }, "\(others)")
        #expect(expected.count == 14 && findings.first?.index == LargeAuditTests.block - 1)

        // Without the keyring document digests cannot be compared; everything else is.
        try ledger.restore()
        _ = try damageIndex(ledger)
        let blind = try LedgerAudit.run(at: ledger.fixture.locations, keyring: nil, progress: { _, _ in })
        #expect(blind.findings.sorted() == expected.prefix(indexOnly).filter { !$0.what.contains("document") }.sorted())
    }

    /// Wrong rows of the look-up index, each about one entry.
    private func damageIndex(_ ledger: LargeLedger) throws -> [AuditFinding] {
        let block = LargeAuditTests.block
        let key = LookupIndex.key(1)
        var expected: [AuditFinding] = []
        func expect(_ entry: UInt64, _ what: String) {
            expected.append(AuditFinding(index: entry, what: "the look-up index disagrees about its \(what)"))
        }
        // One bit of the last record, so that the row stays in order.
        for (database, what) in [("documents", "document digest"), ("leaves", "leaf hash")] {
            try ledger.changeRow(database, key) { row in
                expect(block + row.offset(at: row.count - 2), what)
                row = row.changed(at: row.count - 3)
            }
        }
        // The offset before it once more.
        for (database, name, what, place) in [
            ("types", "evidence.deposited", "type", 20), ("submitters", "two", "submitter", 40),
        ] {
            try ledger.changeRow(database, LookupIndex.key(name, 1)) { row in
                expect(block + row.offset(at: place), what)
                row.replaceSubrange(place..<place + 2, with: row[place - 2..<place])
            }
        }
        // A request that points elsewhere, and one that is gone.
        for (position, deposit) in ledger.deposits.prefix(2).enumerated() {
            try ledger.changeRequest(deposit.requestKey, to: position == 0 ? 5 : nil)
            expect(deposit.index, "request key")
        }
        let what = "the look-up index is damaged: 'requests' holds 32767 keys of 32768 entries"
        return expected + [AuditFinding(index: nil, what: what)]
    }

    /// Wrong rows of streams and tree.
    private func damageStore(_ fixture: LedgerFixture) throws -> [AuditFinding] {
        let block = LargeAuditTests.block
        var expected: [AuditFinding] = []
        func membership(_ index: UInt64, _ position: Int) throws -> (Entry.Membership, key: [UInt8]) {
            let membership = try fixture.read { try Entry($1.entry($0, index)).streams[position] }
            return (membership, StoreKey.stream(membership.stream, number: UInt64(membership.number)))
        }
        func isNot(_ index: UInt64, _ membership: Entry.Membership) {
            let what = "is not number \(membership.number) of \(membership.stream)"
            expected.append(AuditFinding(index: index, what: what))
        }
        // A row that points into another chunk, and two that point to each other's entry.
        let (elsewhere, first) = try membership(block + 1_000, 0)
        let (lower, second) = try membership(block - 3_000, 0)
        let upperIndex = try fixture.read { transaction, schema in
            let key = StoreKey.stream(lower.stream, number: UInt64(lower.number) + 5_000)
            return try #require(try schema.streams.stored(transaction, key).flatMap { StoreKey.readNumber($0) })
        }
        #expect(upperIndex > block)
        let upper = Entry.Membership(stream: lower.stream, number: lower.number + 5_000)
        try fixture.tamper { transaction, schema in
            try schema.streams.put(transaction, first, StoreKey.number(9))
            try schema.streams.put(transaction, second, StoreKey.number(upperIndex))
            let key = StoreKey.stream(upper.stream, number: UInt64(upper.number))
            try schema.streams.put(transaction, key, StoreKey.number(block - 3_000))
        }
        isNot(block + 1_000, elsewhere)
        isNot(block - 3_000, lower)
        isNot(upperIndex, upper)
        // The entry after it is not later than the number before it, as far as the rows say.
        let next = try fixture.read { transaction, schema in
            let key = StoreKey.stream(lower.stream, number: UInt64(lower.number) + 1)
            return try #require(try schema.streams.stored(transaction, key).flatMap { StoreKey.readNumber($0) })
        }
        expected.append(
            AuditFinding(index: next, what: "number \(lower.number) of \(lower.stream) is not an earlier entry")
        )
        // Hashes of rows: one above all chunks, one at the top of a chunk, and a surplus one.
        let what = "the tree nodes it completes are not the hashes of their children"
        for (row, levels, level) in [(block - 1, 15, 14), (2 * block - 1, 16, 15), (2 * block + 3, 3, 3)] {
            try fixture.tamper { transaction, schema in
                let hashes = try #require(try transaction.get(schema.tree, StoreKey.number(row)))
                #expect(hashes.count == 32 * levels)
                let changed = level < levels ? hashes.changed(at: 32 * level + 9) : hashes + hashes.prefix(32)
                try transaction.set(schema.tree, StoreKey.number(row), changed)
            }
            expected.append(AuditFinding(index: row, what: what))
        }
        return expected
    }

    @Test func rowsThatNoEntryMadeAndDamagedEntriesAtTheBordersAreFound() throws {
        let ledger = try LargeLedger()
        let block = LargeAuditTests.block
        // Rows of their own, in each database.
        for (database, key) in [
            ("types", LookupIndex.key("consent.granted", 0)), ("submitters", LookupIndex.key("three", 1)),
            ("leaves", LookupIndex.key(2)), ("documents", LookupIndex.key(7)),
            ("requests", [UInt8](repeating: 9, count: 24)),
        ] {
            try ledger.tamperIndex(database) { try $0.insert($1, key, StoreKey.number(3)) }
        }
        let surplus = try ledger.fixture.audit().findings.filter { $0.index == nil }.map(\.what)
        let damages = [
            "a row of 'requests' is cut", "a row of 'documents' is out of place", "a row of 'leaves' is cut",
            "a row of 'types' is cut", "a row of 'submitters' is cut",
        ]
        #expect(Set(surplus) == Set(damages.map { "the look-up index is damaged: \($0)" }))

        // Compared: more in a row than the entry says.
        try ledger.restore()
        var twice: UInt64 = 0
        try ledger.changeRow("documents", LookupIndex.key(0)) { row in
            twice = row.offset(at: row.count - 2)
            row += row.suffix(18)
        }
        let more = try ledger.fixture.audit().findings
        #expect(more == [AuditFinding(index: twice, what: "the look-up index disagrees about its document digest")])
        // In a row of names, which no entry contradicts.
        try ledger.restore()
        try ledger.changeRow("types", LookupIndex.key("evidence.deposited", 0)) { $0 += $0.suffix(2) }
        let names = try ledger.fixture.audit().findings.map(\.what)
        #expect(names == ["the look-up index does not hold what the entries say"])

        // Damaged entries, first, last and in the midst of chunks: each is its own finding, and no other entry's.
        try ledger.restore()
        let damaged = [5, 7, 9, block - 1, block, block + 50, 2 * block - 1, 2 * block]
        try ledger.fixture.tamper { transaction, schema in
            for index in damaged {
                let bytes = try schema.entry(transaction, index)
                let entry = try Entry(bytes)
                let text = String(decoding: bytes, as: UTF8.self)
                let changed =
                    switch index {
                    case 5: ""
                    case 7: text.replacing("\(entry.request)", with: "00000000-0000-4000-8000-000000000000")
                    case 9: text.replacing("\(entry.time)", with: "1971-01-01T00:00:00.000000Z")
                    case block - 1: text.replacing("\"index\":\(index)", with: "\"index\":9007199254740991")
                    case block: "{}"
                    case block + 50: text.replacing("\"index\":\(index)", with: "\"index\":7")
                    case 2 * block - 1: text.replacing("contract.viewed", with: "contract.sent")
                    default: text.replacing(entry.previous.base64, with: Digest.zero.base64)
                    }
                #expect(bytes != Array(changed.utf8))
                try transaction.set(schema.entries, StoreKey.number(index), Array(changed.utf8))
            }
        }
        let findings = try ledger.fixture.audit().findings
        #expect(Set(findings.compactMap(\.index)) == Set(damaged))
        let expected: [(UInt64, String)] = [
            (5, "is malformed"), (block, "is malformed"), (block, "does not hash to its leaf in the tree"),
            (7, "the look-up index disagrees about its request key"), (9, "is not later than the entry before it"),
            (block - 1, "says it is entry 9007199254740991"), (block + 50, "says it is entry 7"),
            (2 * block, "does not name the leaf hash of the entry before it"),
            (2 * block - 1, "the look-up index disagrees about its type"),
        ]
        for (index, what) in expected {
            #expect(findings.contains { $0.index == index && $0.what.hasPrefix(what) }, "\(index) \(what)")
        }
        // A row of no entry that can be read is more than the entries account for.
        #expect(findings.filter { $0.index == nil }.allSatisfy { $0.what.contains("rows") })
    }
}

extension [AuditFinding] {
    /// As an audit tells them: those of entries first.
    fileprivate func sorted() -> [AuditFinding] {
        sorted { ($0.index ?? .max) < ($1.index ?? .max) }
    }
}
