import LMDB
import LedgerFormat
import Testing

@testable import Ledger

/// A submitter's request stands in one entry only, and an audit sees that by the entries alone
/// (`ledger-format.md` sections 3 and 11).
@Suite struct RepeatedRequestTests {
    private let fixture: LedgerFixture
    private let indexes: [UInt64]

    init() throws {
        fixture = try LedgerFixture()
        indexes = try fixture.whileOpen { ledger in
            try (0..<40).map { _ in try ledger.submit([Sample.deposit()]).receipts[0].index }
        }
    }

    private func text(_ index: UInt64) throws -> String {
        String(decoding: try fixture.read { try $1.entry($0, index) }, as: UTF8.self)
    }

    private func request(_ index: UInt64) throws -> String {
        try Entry(Array(text(index).utf8)).request.description
    }

    @Test func aRepeatedRequestIsFoundWithTheIndexAndWithout() throws {
        let (first, second) = (indexes[3], indexes[20])
        let (old, new) = (try request(second), try request(first))
        try fixture.rewrite(entry: second) { $0.replacing(old, with: new) }
        for isIndexed in [true, false] {
            if !isIndexed { removeTree(fixture.locations.index) }
            let findings = try fixture.audit().findings
            let repeated = findings.filter { $0.what == "has the submitter and request of entry \(first)" }
            #expect(repeated.map(\.index) == [second])
        }
        // Another submitter's request may be the same.
        try fixture.rewrite(entry: second) { $0.replacing("\"submitter\":\"shop\"", with: "\"submitter\":\"shop2\"") }
        #expect(try !fixture.audit().findings.contains { $0.what.contains("submitter and request") })
    }

    /// Of a ledger that is too large for the memory the hashes are looked at part by part.
    @Test(arguments: [1, 2, 7, 16, 1_000] as [UInt64])
    func partsFindWhatTheWholeFinds(capacity: UInt64) throws {
        for (first, second) in [(2, 3), (0, 39), (5, 30)] {
            let (old, new) = (try request(indexes[second]), try request(indexes[first]))
            try fixture.rewrite(entry: indexes[second]) { $0.replacing(old, with: new) }
        }
        try fixture.reopened { environment, schema in
            let entries = try environment.read { transaction in
                try (0..<schema.size(transaction)).map { try Entry(schema.entry(transaction, $0)) }
            }
            let size = UInt64(entries.count)
            var requests = AuditRequests(size: size, capacity: capacity)
            #expect(requests.parts == size / capacity + 1)
            for entry in entries { requests.add([AuditRequests.hash(entry)]) }
            let found = requests.findings(environment, schema, size: size)
            #expect(found.map(\.index) == [indexes[3], indexes[30], indexes[39]])
            #expect(
                found.map(\.what) == [2, 5, 0].map { "has the submitter and request of entry \(indexes[$0])" }
            )
        }
    }
}
