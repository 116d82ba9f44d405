import Files
import Glibc
import JSON
import LMDB
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
            #expect(try ledger.find(document: #require(Digest(hex: digest))).entries.count == 20)
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
        let (index, other, erasure) = try fixture.whileOpen { ledger in
            let receipts = try ledger.submit([submission, Sample.deposit(digest: digest)]).receipts
            let erasure = try ledger.submit([Sample.erasure(of: [object])]).receipts[0].index
            return (receipts[0].index, receipts[1].index, erasure)
        }
        removeTree(fixture.locations.index)
        try fixture.whileOpen { ledger in
            #expect(throws: LedgerError.erasedClaims(index: index, erasure: erasure)) {
                try ledger.open(index, names: nil)
            }
            #expect(try ledger.open(other, names: nil).count == 2)
            #expect(try ledger.find(document: #require(Digest(hex: digest))).entries.map(\.index) == [other])
            _ = try ledger.proveInclusion(of: index)
            // A retry still finds its receipt.
            #expect(try ledger.submit([submission]).receipts[0].index == index)
        }
        let report = try fixture.audit()
        #expect(report.findings == [] && report.erasedClaims == 2)
    }

    /// Whoever says that it was erased first, and has claims recorded then, is found out.
    @Test func claimsUnderAScopeThatWasErasedBeforeAreAFinding() throws {
        let fixture = try LedgerFixture()
        let object = StreamID(kind: .object, id: try Sample.id())
        let other = StreamID(kind: .object, id: try Sample.id())
        let (erasure, deposit) = try fixture.whileOpen { ledger in
            let receipts = try ledger.submit([Sample.erasure(of: [other]), Sample.deposit(object: object)]).receipts
            return (receipts[0].index, receipts[1].index)
        }
        #expect(try fixture.audit().isClean)
        try fixture.rewrite(entry: erasure) { $0.replacing("\(other)", with: "\(object)") }
        let what = "has claims under \(object), which entry \(erasure) erased"
        #expect(try fixture.audit().findings.contains(AuditFinding(index: deposit, what: what)))
    }

    @Test func anErasedScopeGetsNoClaimsAgain() throws {
        let fixture = try LedgerFixture()
        let object = StreamID(kind: .object, id: try Sample.id())
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit(object: object), Sample.erasure(of: [object])]) }
        try fixture.whileOpen { ledger in
            #expect(
                throws: LedgerError.invalidEvent(
                    event: 1,
                    field: "claims.\(object)",
                    rule: "must not lie under a scope that was erased: take an id that was never used"
                )
            ) { try ledger.submit([Sample.deposit(), Sample.deposit(object: object)]) }
            let deposits = try ledger.list(EntryFilter(type: "evidence.deposited"), from: nil, limit: 9, reverse: false)
            #expect(deposits.entries.count == 1)
        }
        #expect(try fixture.audit().isClean)
    }

    @Test func oneErasedScopeOfAnEntryDoesNotHideTheOthers() throws {
        let fixture = try LedgerFixture()
        let object = StreamID(kind: .object, id: try Sample.id())
        let subject = StreamID(kind: .subject, id: try Sample.id())
        let digest = String(repeating: "5c", count: 32)
        let request = try Sample.request()
        func deposit(digest: String) throws -> Submission {
            try Sample.submission(
                "evidence.deposited",
                request: request,
                streams: [object, subject],
                body: ["channel": .string("api"), "media_type": .string("text/plain"), "product": .string("deposit")],
                claims: [
                    Submission.Scope(
                        scope: object,
                        claims: JSONObjectText([JSONMember(name: "sha256", value: .string(digest))])
                    ),
                    Submission.Scope(
                        scope: subject,
                        claims: JSONObjectText([JSONMember(name: "file_name", value: .string("张三.txt"))])
                    ),
                ]
            )
        }
        let index = try fixture.whileOpen { try $0.submit([deposit(digest: digest)]).receipts[0].index }
        let erasure = try fixture.whileOpen { try $0.submit([Sample.erasure(of: [subject])]).receipts[0].index }
        let order = try Entry(fixture.read { try $1.entry($0, index) }).claims.map(\.scope)
        try fixture.whileOpen { ledger in
            #expect(try ledger.open(index, names: ["sha256"]).map(\.value) == [.string(digest)])
            for names in [nil, ["file_name"], ["sha256", "file_name"]] {
                #expect(throws: LedgerError.erasedClaims(index: index, erasure: erasure)) {
                    try ledger.open(index, names: names)
                }
            }
            #expect(try ledger.submit([deposit(digest: digest)]).receipts[0].duplicate)
            let other = try deposit(digest: String(repeating: "5d", count: 32))
            #expect(throws: LedgerError.requestConflict(event: 0, index: index)) { try ledger.submit([other]) }
        }
        let report = try fixture.audit()
        #expect(report.isClean && report.erasedClaims == 1 && report.openedClaims == 1)
        // What is left is still compared, wherever in the entry it stands.
        let ordinal = try #require(order.firstIndex(of: object))
        try fixture.tamper { transaction, schema in
            let key = StoreKey.sealed(index: index, ordinal: ordinal)
            var row = try #require(try transaction.get(schema.sealed, key))
            row[row.count - 1] ^= 1
            try transaction.set(schema.sealed, key, row)
        }
        #expect(try fixture.audit().findings.map(\.index) == [index])
    }

    /// Erased is what the row of the scope's key says, and what a recovery says was lost with the keyring; claims that are
    /// missing otherwise are damage, to who opens them and to who sends the event again.
    @Test(arguments: ["sealed", "scopes"]) func missingClaimsAreDamageAndNotErased(_ database: String) throws {
        let fixture = try LedgerFixture()
        let object = StreamID(kind: .object, id: try Sample.id())
        let submission = try Sample.deposit(object: object)
        let index = try fixture.whileOpen { ledger in
            try ledger.submit([submission, Sample.deposit()]).receipts[0].index
        }
        try fixture.tamper { transaction, schema in
            if database == "sealed" {
                try transaction.remove(schema.sealed, StoreKey.sealed(index: index, ordinal: 0))
            } else {
                try schema.scopes.put(transaction, StoreKey.stream(object), nil)
            }
        }
        let other = try Sample.deposit(
            digest: String(repeating: "5d", count: 32),
            object: object,
            request: submission.request
        )
        // A start that has to index the entry goes on: the entry is found by all but its documents.
        for isIndexed in [true, false] {
            if !isIndexed { removeTree(fixture.locations.index) }
            try fixture.whileOpen { (ledger: Ledger) throws in
                #expect { try ledger.open(index, names: nil) } throws: { error in
                    (error as? StoreDamage)?.index == index && "\(error)".contains("missing")
                }
                for again in [submission, other] {
                    #expect { try ledger.submit([again]) } throws: { error in
                        if case .damaged(index, _)? = error as? LedgerError { true } else { false }
                    }
                }
                #expect(try ledger.open(index + 1, names: nil).count == 2)
            }
            #expect(try fixture.audit().findings.map(\.index) == [index])
        }
        // Given up with the keyring, it is erased.
        if database == "scopes" {
            try fixture.tamper { try $0.remove($1.sealed, StoreKey.sealed(index: index, ordinal: 0)) }
        }
        let keyring = try Keyring()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: nil, keyring: keyring, reason: .keyLost)
        let after = try fixture.open(keyring: keyring)
        defer { after.stop() }
        _ = try after.submit([Sample.deposit(object: object)])
        for lost in [index, index + 1] {
            #expect(throws: LedgerError.erasedClaims(index: lost, erasure: nil)) { try after.open(lost, names: nil) }
        }
        #expect(try after.submit([submission]).receipts[0].duplicate)
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
