import Glibc
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct ClaimsTests {
    @Test func openingsMatchTheirCommitmentsAndNothingElse() throws {
        let fixture = try LedgerFixture()
        let digest = String(repeating: "7e", count: 32)
        let index = try fixture.whileOpen { try $0.submit([Sample.deposit(digest: digest)]).receipts[0].index }
        try fixture.whileOpen { ledger in
            let entry = try Entry(ledger.entry(at: index).bytes)
            let openings = try ledger.open(index, names: nil)
            #expect(openings.map(\.name) == ["file_name", "sha256"])
            #expect(openings.map(\.value) == [.string("租赁合同-张三.pdf"), .string(digest)])
            let hasher = SHA256Hasher()
            for (opening, committed) in zip(openings, entry.claims[0].claims) {
                let text = "evidenced/claim/v1\n\(Base64.encode(opening.salt))\n\(opening.name)\n"
                let preimage = Array(text.utf8) + opening.value.canonicalBytes
                #expect(hasher.hash(preimage) == committed.commitment)
            }
            #expect(Set(openings.map(\.salt)).count == 2)
            #expect(try ledger.open(index, names: ["sha256"]).map(\.name) == ["sha256"])
            #expect(throws: LedgerError.self) { try ledger.open(index, names: ["phone"]) }
        }
    }

    /// The sentence "nothing personal is in the part that can't be erased", and nothing in clear anywhere else.
    @Test func noClaimValueIsInAnyFile() throws {
        let fixture = try LedgerFixture()
        let secret = "身份证440301199001011234"
        let digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
        try fixture.whileOpen { ledger in
            _ = try ledger.submit((0..<20).map { _ in try Sample.deposit(digest: digest, fileName: secret) })
            #expect(try ledger.find(document: #require(Digest(hex: digest))).count == 20)
        }
        let raw = try #require(Hex.decode(digest))
        for directory in [fixture.locations.store, fixture.locations.index, fixture.directory + "/lock"] {
            for name in names(in: directory) {
                let bytes = try FileSystem.read(directory + "/" + name, limit: 1 << 30)
                for needle in [Array(secret.utf8), Array(digest.utf8), raw] {
                    #expect(!contains(bytes, needle), "\(name) holds a claim's value")
                }
            }
        }
    }

    @Test func equalValuesHaveDifferentCommitments() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let receipts = try ledger.submit((0..<50).map { _ in try Sample.deposit() }).receipts
            let commitments = try receipts.flatMap { receipt in
                try Entry(ledger.entry(at: receipt.index).bytes).claims.flatMap { $0.claims.map(\.commitment) }
            }
            #expect(Set(commitments).count == 100)
        }
    }

    @Test func aScopeWithoutItsKeyIsErasedAndEverythingElseStays() throws {
        let fixture = try LedgerFixture()
        let digest = String(repeating: "5c", count: 32)
        let object = StreamID(kind: .object, id: try Sample.id())
        let submission = try Sample.deposit(digest: digest, object: object)
        let (index, other) = try fixture.whileOpen { ledger in
            let receipts = try ledger.submit([submission, Sample.deposit(digest: digest)]).receipts
            return (receipts[0].index, receipts[1].index)
        }
        try fixture.remove(scope: object)
        removeTree(fixture.locations.index)
        try fixture.whileOpen { ledger in
            #expect(throws: LedgerError.erasedClaims(index: index)) { try ledger.open(index, names: nil) }
            #expect(try ledger.open(other, names: nil).count == 2)
            #expect(try ledger.find(document: #require(Digest(hex: digest))).map(\.index) == [other])
            _ = try ledger.proveInclusion(of: index)
            // A retry still finds its receipt.
            #expect(try ledger.submit([submission]).receipts[0].index == index)
        }
        let report = try fixture.audit()
        #expect(report.findings == [] && report.erasedClaims == 2)
    }

    private func contains(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        guard let first = needle.first else { return false }
        var start = 0
        while let found = bytes[start...].firstIndex(of: first) {
            if bytes[found...].starts(with: needle) { return true }
            start = found + 1
        }
        return false
    }
}
