import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// A stopped ledger of several chunks, the last not whole, and what it takes to damage it again and again.
struct LargeLedger {
    let fixture: LedgerFixture
    /// Where each document digest was recorded.
    let documents: [String: [UInt64]]
    /// A deposit early in each chunk.
    let deposits: [Deposit]
    let size: UInt64

    struct Deposit {
        let index: UInt64
        let submission: Submission
        let submitter: String

        /// The key of its row in the look-up index.
        var requestKey: [UInt8] {
            let submitter = SubmitterReference(submitter, SHA256Hasher())
            var key: [UInt8] = []
            RequestReference(submitter: submitter, request: submission.request).append(to: &key)
            return key
        }
    }

    /// - Parameter calls: of 500 events each, two of them deposits.
    init(calls: Int = 66) throws {
        let fixture = try LedgerFixture()
        let contracts = try (0..<3).map { _ in StreamID(kind: .contract, id: try Sample.id()) }
        let subjects = try (0..<20).map { _ in StreamID(kind: .subject, id: try Sample.id()) }
        let digests = (0..<5).map { String(repeating: "0\($0)", count: 32) }
        var documents: [String: [UInt64]] = [:]
        var deposits: [Deposit] = []
        let appended = try fixture.whileOpen { ledger in
            for call in 0..<calls {
                var submissions = try (0..<500).map { number in
                    try Sample.viewed(contract: contracts[number % 3], subject: subjects[number % 20])
                }
                for (place, digest) in [(77, digests[call % 5]), (377, digests[(call + 2) % 5])] {
                    submissions[place] = try Sample.deposit(digest: digest)
                }
                let submitter = ["one", "two"][call % 2]
                let receipts = try ledger.submit(submissions, as: submitter).receipts
                documents[digests[call % 5], default: []].append(receipts[77].index)
                documents[digests[(call + 2) % 5], default: []].append(receipts[377].index)
                if deposits.last.map({ $0.index / LookupBlock.entries < receipts[77].index / LookupBlock.entries })
                    ?? true
                {
                    deposits.append(
                        Deposit(index: receipts[77].index, submission: submissions[77], submitter: submitter)
                    )
                }
            }
            return ledger.checkpoint.size
        }
        // The stop is recorded too.
        size = appended + 1
        self.fixture = fixture
        self.documents = documents
        self.deposits = deposits
        for (name, path) in files { try copyFile(path, fixture.directory + "/kept-" + name) }
    }

    private var files: [(name: String, path: String)] {
        [("store", fixture.locations.store + "/data.mdb"), ("index", fixture.locations.index + "/data.mdb")]
    }

    /// Undoes every damage.
    func restore() throws {
        for (name, path) in files { try copyFile(fixture.directory + "/kept-" + name, path) }
    }

    /// Changes a database of the look-up index.
    func tamperIndex(_ name: String, _ body: (borrowing WriteTransaction, Database) throws -> Void) throws {
        let environment = try Environment(directory: fixture.locations.index, mapBytes: 64 << 20, databases: 6)
        let database = try environment.databases([name], create: false)[0]
        try environment.write { try body($0, database) }
    }

    /// Changes the content of a row of the look-up index and gives it the seal it must have.
    func changeRow(_ name: String, _ key: [UInt8], _ change: (inout [UInt8]) -> Void) throws {
        try tamperIndex(name) { transaction, database in
            var content = Array(try #require(try transaction.get(database, key)).dropLast(LookupSeal.bytes))
            change(&content)
            try transaction.set(database, key, LookupSeal().sealed(name, key, content))
        }
    }

    /// Changes the record of a request key, in the same way.
    ///
    /// - Parameter index: the entry it is to name; nil for no record at all.
    func changeRequest(_ request: [UInt8], to index: UInt64?) throws {
        var row: [UInt8] = []
        try tamperIndex("requests") { transaction, database in
            row = try #require(try transaction.cursor(database) { try $0.seekBackward(request) }).key
        }
        try changeRow("requests", row) { content in
            // 24 bytes of the next row's key, then records of 32.
            for place in stride(from: 24, to: content.count, by: 32) where content[place...].starts(with: request) {
                content.replaceSubrange(place..<place + 32, with: index.map { request + StoreKey.number($0) } ?? [])
                return
            }
            Issue.record("no record of the request")
        }
    }
}

extension [UInt8] {
    /// With one byte changed.
    func changed(at position: Int, by mask: UInt8 = 1) -> [UInt8] {
        var bytes = self
        bytes[position] ^= mask
        return bytes
    }

    /// The number of the two bytes at a place.
    func offset(at position: Int) -> UInt64 { UInt64(self[position]) << 8 | UInt64(self[position + 1]) }
}
