import Files
import Glibc
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// What the look-up index holds of documents whose claims were erased goes, wherever it is and whatever cuts that off
/// (`ledger-format.md` section 9).
@Suite struct LookupForgettingTests {
    private let fixture: LedgerFixture
    private let object: StreamID
    private let digest = String(repeating: "5c", count: 32)
    private let kept = String(repeating: "d0", count: 32)

    init() throws {
        fixture = try LedgerFixture()
        object = StreamID(kind: .object, id: try Sample.id())
    }

    /// All rows of an index but what it says of itself.
    private func rows(_ index: LookupIndex) throws -> [String: [[UInt8]: [UInt8]]] {
        try index.read { transaction in
            var rows: [String: [[UInt8]: [UInt8]]] = [:]
            for (name, database) in [
                ("requests", index.requests), ("documents", index.documents), ("leaves", index.leaves),
                ("types", index.types), ("submitters", index.submitters),
            ] {
                try transaction.forEach(database) { rows[name, default: [:]][Array($0)] = Array($1) }
            }
            return rows
        }
    }

    private func readOnly() throws -> LookupIndex {
        try LookupIndex(readOnly: fixture.locations.index, key: fixture.keyring.indexKey)
    }

    private func waitUntil(_ isDone: () throws -> Bool) throws {
        for _ in 0..<1_000 where try !isDone() { usleep(20_000) }
        #expect(try isDone())
    }

    /// Fills a block and a part of the next; `count` documents of the first are the object's, and 3 of the other.
    ///
    /// - Returns: the documents' entries.
    private func fill(_ count: Int) throws -> [UInt64] {
        let contract = StreamID(kind: .contract, id: try Sample.id())
        let subject = StreamID(kind: .subject, id: try Sample.id())
        return try fixture.whileOpen { ledger in
            var found: [UInt64] = []
            for call in 0..<34 {
                var events = try (0..<500).map { _ in try Sample.viewed(contract: contract, subject: subject) }
                let own = call == 33 ? 3 : min(500, max(0, count - call * 500))
                for place in 0..<own { events[place] = try Sample.deposit(digest: digest, object: object) }
                if own < 500 { events[499] = try Sample.deposit(digest: kept) }
                let receipts = try ledger.submit(events).receipts
                found += receipts.prefix(own).map(\.index)
            }
            try waitUntil { try ledger.gauges().indexed == LookupBlock.entries }
            return found
        }
    }

    private func keys(of digest: String, _ index: LookupIndex) throws -> Int {
        var key: [UInt8] = []
        DocumentKey(try #require(Digest(hex: digest)), index.hash).value.append(to: &key)
        let row = try #require(try index.read { try $0.get(index.documents, LookupIndex.key(0)) })
        return stride(from: 0, to: row.count - LookupSeal.bytes, by: 18).count { row[$0...].starts(with: key) }
    }

    /// The entries in the tail that record a document.
    private func recent(_ digest: String, _ index: LookupIndex) -> [UInt64] {
        index.tail.indexes { $0.documents.sha256 == Digest(hex: digest) }
    }

    private func forgotten() throws -> UInt64 { try readOnly().totals().state.forgotten }

    @Test func nothingIsLeftInTheIndexOrItsTailAndItIsAsIfMadeAnew() throws {
        let found = try fill(1_100)
        #expect(try keys(of: digest, readOnly()) == 1_100)
        try fixture.whileOpen { (ledger: Ledger) throws in
            let index = try ledger.lookups.ready()
            #expect(recent(digest, index) == Array(found.suffix(3)))
            let erasure = try ledger.submit([Sample.erasure(of: [object])]).receipts[0].index
            try waitUntil { try index.read { try index.state($0).forgotten } == erasure + 1 }
            #expect(recent(digest, index).isEmpty && recent(kept, index).count == 2)
            #expect(try keys(of: digest, index) == 0)
            // What was not erased is found as before.
            #expect(try ledger.find(document: #require(Digest(hex: kept))).entries.count == 32)
            #expect(try ledger.find(document: #require(Digest(hex: digest))).entries.isEmpty)
        }
        #expect(try fixture.audit().isClean)
        let lived = try rows(readOnly())
        removeTree(fixture.locations.index)
        try fixture.whileOpen { _ in }
        #expect(try rows(readOnly()) == lived)
    }

    /// Cut off before it began, or between two parts of it, it is ended by the next start. Until then it is no finding.
    @Test(arguments: [0, 1, 2]) func whatCutsItOffTheNextStartGoesOn(parts: Int) throws {
        _ = try fill(2_100)
        let data = fixture.locations.index + "/data.mdb"
        let before = fixture.directory + "/index.before"
        try copyFile(data, before)
        let erasure = try fixture.whileOpen { ledger in
            try ledger.submit([Sample.erasure(of: [object])]).receipts[0].index
        }
        try copyFile(before, data)
        if parts > 0 {
            try fixture.whileOpen { ledger in
                let copy = fixture.directory + "/copy"
                try FileSystem.makeDirectory(copy)
                try copyFile(before, copy + "/data.mdb")
                let index = try LookupIndex(
                    directory: copy,
                    mapBytes: 64 << 20,
                    readers: 16,
                    key: fixture.keyring.indexKey,
                    ledger: ledger.identity.encoded
                )
                index.tail.add(try #require(ledger.lookups.ready().tail.oldest(100, below: .max)))
                let log = LookupLog(
                    environment: ledger.environment,
                    schema: ledger.schema,
                    claimKeys: ledger.claimKeys,
                    losses: ledger.history.losses
                )
                var work = try LookupForgetting(index, log)
                // The erasure is in the tail that the copy hasn't.
                index.tail.add(try log.records([erasure]))
                for _ in 0..<parts { #expect(try work.step(below: .max)) }
            }
            try copyFile(fixture.directory + "/copy/data.mdb", data)
            let left = try keys(of: digest, readOnly())
            #expect(left > 0 && left < 2_100)
        }
        #expect(try forgotten() <= erasure)
        #expect(try fixture.audit().isClean)
        try fixture.whileOpen { _ in try waitUntil { try forgotten() == erasure + 1 } }
        #expect(try keys(of: digest, readOnly()) == 0 && keys(of: kept, readOnly()) > 0)
        #expect(try fixture.audit().isClean)
    }

    /// An index that says it has forgotten what it holds is found out, entry by entry.
    @Test func anAuditFindsARowOfAnErasedDocument() throws {
        let found = try fill(2)
        let data = fixture.locations.index + "/data.mdb"
        let before = fixture.directory + "/index.before"
        try copyFile(data, before)
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try copyFile(before, data)
        do {
            let index = try LookupIndex(
                directory: fixture.locations.index,
                mapBytes: 64 << 20,
                readers: 16,
                key: fixture.keyring.indexKey,
                ledger: fixture.read { try LedgerOpening.identity($0, $1) }.encoded
            )
            try index.revise([], forgotten: .max)
        }
        let findings = try fixture.audit().findings
        #expect(findings.compactMap(\.index) == Array(found.prefix(2)))
        #expect(
            findings.allSatisfy { $0.what == "the look-up index still has a document of it, whose claims were erased" }
        )
    }

    /// Of damaged claims nobody knows the documents, and no search is answered. Erased, there are none.
    @Test func damagedClaimsThatAreErasedHideNothingAnyMore() throws {
        let index = try fill(2)[0]
        try fixture.tamper { transaction, schema in
            let key = StoreKey.sealed(index: index, ordinal: 0)
            let row = try #require(try transaction.get(schema.sealed, key))
            try transaction.set(schema.sealed, key, row.changed(at: 20))
        }
        removeTree(fixture.locations.index)
        try fixture.whileOpen { (ledger: Ledger) throws in
            let digest = try #require(Digest(hex: kept))
            #expect(throws: StoreDamage.self) { try ledger.find(document: digest) }
            _ = try ledger.submit([Sample.erasure(of: [object])])
            let index = try ledger.lookups.ready()
            try waitUntil { try index.unread() == 0 }
            #expect(try ledger.find(document: digest).entries.count == 34)
            try index.verify {}
        }
        #expect(try fixture.audit().isClean)
    }
}
