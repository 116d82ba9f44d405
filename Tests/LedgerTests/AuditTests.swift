import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct AuditTests {
    /// A ledger with claims, streams, checkpoints and a second start.
    private func populated() throws -> LedgerFixture {
        let fixture = try LedgerFixture()
        let contract = StreamID(kind: .contract, id: try Sample.id())
        let subject = StreamID(kind: .subject, id: try Sample.id())
        for _ in 0..<2 {
            try fixture.whileOpen { ledger in
                for _ in 0..<4 {
                    _ = try ledger.submit([Sample.deposit(), Sample.viewed(contract: contract, subject: subject)])
                }
            }
        }
        return fixture
    }

    @Test func anIntactLedgerPassesWithAndWithoutKeyring() throws {
        let fixture = try populated()
        let report = try fixture.audit()
        #expect(report.findings == [])
        #expect(report.openedClaims == 16)
        #expect(report.checkpoints > 8)
        let blind = try LedgerAudit.run(at: fixture.locations, keyring: nil, progress: { _, _ in })
        #expect(blind.findings == [])
        #expect(blind.root == report.root && blind.openedClaims == 0)
    }

    @Test func everyFlippedByteOfAnEntryIsFoundAndNamed() throws {
        let fixture = try populated()
        let original = try fixture.read { try $1.entry($0, 7) }
        for position in stride(from: 0, to: original.count, by: 23) {
            var changed = original
            changed[position] ^= 0x04
            try fixture.tamper { try $0.set($1.entries, StoreKey.number(7), changed) }
            let report = try fixture.audit()
            #expect(report.findings.first?.index == 7, "byte \(position)")
        }
        try fixture.tamper { try $0.set($1.entries, StoreKey.number(7), original) }
        #expect(try fixture.audit().isClean)
    }

    /// Whatever is wrong with an entry, it is that entry's finding.
    @Test func aDamagedEntryIsNotChargedToOthers() throws {
        let fixture = try populated()
        for index: UInt64 in [4, 7, 8] {
            let bytes = try fixture.read { try $1.entry($0, index) }
            let entry = try Entry(bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            for changed in [
                "", "{}", text + " ", text.replacing(entry.previous.base64, with: Digest.zero.base64),
                text.replacing("\"index\":\(index)", with: "\"index\":9007199254740991"),
                text.replacing("\"index\":\(index)", with: "\"index\":5"),
                text.replacing("\(entry.time)", with: "1971-01-01T00:00:00.000000Z"),
                text.replacing("\(entry.request)", with: "00000000-0000-4000-8000-000000000000"),
                text.replacing(entry.submitter, with: "nobody"), text.replacing(entry.type, with: "no.type"),
            ] {
                try fixture.tamper { try $0.set($1.entries, StoreKey.number(index), Array(changed.utf8)) }
                let indexes = try fixture.audit().findings.compactMap(\.index)
                #expect(Set(indexes) == [index], "\(changed)")
            }
            try fixture.tamper { try $0.set($1.entries, StoreKey.number(index), bytes) }
        }
        #expect(try fixture.audit().isClean)
        try fixture.tamper { try $0.remove($1.entries, StoreKey.number(7)) }
        #expect(try fixture.audit().findings.first == AuditFinding(index: 7, what: "the entry is missing"))
        try fixture.tamper { try $0.remove($1.tree, StoreKey.number(6)) }
        #expect(try fixture.audit().findings.first?.index == 6)
    }

    @Test func everyFlippedByteOfATreeRowIsFound() throws {
        let fixture = try populated()
        let original = try fixture.read { try $0.get($1.tree, StoreKey.number(7)) ?? [] }
        #expect(original.count == 4 * 32)
        for position in stride(from: 0, to: original.count, by: 9) {
            var changed = original
            changed[position] ^= 0x80
            try fixture.tamper { try $0.set($1.tree, StoreKey.number(7), changed) }
            #expect(try fixture.audit().findings.first?.index == 7, "byte \(position)")
        }
    }

    @Test func aHistoryRewrittenWithItsTreeContradictsTheSignatures() throws {
        let fixture = try populated()
        try fixture.rewrite(entry: 6) { $0.replacing("\"seconds\":3", with: "\"seconds\":4") }
        let report = try fixture.audit()
        #expect(report.findings.contains { $0.what.contains("checkpoint signed at size") })
        #expect(report.findings.contains { $0.what.contains("the newest checkpoint has another root") })
    }

    @Test func otherRowsThatLieAreFound() throws {
        let key = StoreKey.number(6)
        let damages: [(String, (borrowing WriteTransaction, StoreSchema) throws -> Void)] = [
            (
                "a stream row to another entry",
                { transaction, schema in
                    let entry = try Entry(schema.entry(transaction, 6))
                    let own = entry.streams[0]
                    try schema.streams.put(
                        transaction,
                        StoreKey.stream(own.stream, number: UInt64(own.number)),
                        StoreKey.number(2)
                    )
                }
            ),
            (
                "an additional stream row",
                { transaction, schema in
                    let stream = StreamID(kind: .subject, id: ID128(high: 1, low: 1))
                    try schema.streams.put(transaction, StoreKey.stream(stream, number: 0), key)
                }
            ),
            (
                "a checkpoint with another signature",
                { transaction, schema in
                    var row = try #require(try transaction.get(schema.checkpoints, StoreKey.number(5)))
                    row[row.count - 1] ^= 1
                    try transaction.set(schema.checkpoints, StoreKey.number(5), row)
                }
            ),
            (
                "a checkpoint of another origin",
                { transaction, schema in
                    var row = try #require(try transaction.get(schema.checkpoints, StoreKey.number(5)))
                    row[0] ^= 1
                    try transaction.set(schema.checkpoints, StoreKey.number(5), row)
                }
            ),
            (
                "sealed claims of another entry",
                { transaction, schema in
                    let row = try #require(try transaction.get(schema.sealed, StoreKey.sealed(index: 3, ordinal: 0)))
                    try transaction.set(schema.sealed, StoreKey.sealed(index: 5, ordinal: 0), row)
                }
            ),
            (
                "a stream row with the greatest number there is",
                { transaction, schema in
                    let stream = StreamID(kind: .subject, id: ID128(high: 1, low: 1))
                    try schema.streams.put(transaction, StoreKey.stream(stream, number: .max), key)
                }
            ), ("no entries at all", { try $0.clear($1.entries) }),
            (
                "an entry with the greatest index there is",
                { try $0.set($1.entries, StoreKey.number(.max), Array("{}".utf8)) }
            ),
            (
                "a data key of a scope that no entry names",
                { transaction, schema in
                    let scope = StreamID(kind: .subject, id: ID128(high: 1, low: 1))
                    try schema.scopes.put(transaction, StoreKey.stream(scope), [])
                }
            ), ("a data key under no scope's key", { try $0.set($1.scopes.database, Array("x".utf8), []) }),
            (
                "another identity",
                { transaction, schema in
                    let bytes = try #require(try transaction.get(schema.meta, StoreSchema.identityKey))
                    let text = String(decoding: bytes, as: UTF8.self).replacing(
                        "\"incarnation\":1",
                        with: "\"incarnation\":2"
                    )
                    try transaction.set(schema.meta, StoreSchema.identityKey, Array(text.utf8))
                }
            ),
        ]
        for (name, damage) in damages {
            let fixture = try populated()
            try fixture.tamper(damage)
            #expect(try !fixture.audit().isClean, "\(name)")
        }
    }

    @Test func aMissingLockIsAFinding() throws {
        let fixture = try populated()
        unlink(fixture.locations.lock)
        #expect(try fixture.audit().findings.contains { $0.what.contains("checkpoint lock") })
    }

    @Test func progressReachesTheEnd() throws {
        let fixture = try populated()
        var last: (UInt64, UInt64) = (0, 0)
        let report = try LedgerAudit.run(at: fixture.locations, keyring: nil) { last = ($0, $1) }
        #expect(last.0 == report.size && last.1 == report.size)
    }
}

extension LedgerFixture {
    func read<Result>(_ body: (borrowing ReadTransaction, StoreSchema) throws -> Result) throws -> Result {
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 64 << 20,
            readers: 8,
            create: false,
            access: .reading
        )
        return try environment.read { try body($0, schema) }
    }
}
