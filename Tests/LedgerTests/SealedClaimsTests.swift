import Foundation
import JSON
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct SealedClaimsTests {
    /// The known answer of `ledger-format.md` section 10, which a program that shares nothing with this one computed.
    private struct KnownAnswer {
        let plaintext: [UInt8]
        let sealed: [UInt8]
        let entry: Entry
        let scope: StreamID

        init(_ suite: CipherSuite) throws {
            var directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            while directory.path != "/",
                !FileManager.default.fileExists(atPath: directory.appendingPathComponent("ledger-format.md").path)
            { directory.deleteLastPathComponent() }
            let document = try String(contentsOf: directory.appendingPathComponent("ledger-format.md"), encoding: .utf8)
            let lines = document.components(separatedBy: "\n")
            func bytes(_ title: String) throws -> [UInt8] {
                let start = try #require(lines.firstIndex { $0.hasPrefix("    " + title) }, "\(title)")
                let hex = lines[(start + 1)...].prefix { $0.hasPrefix("        ") }
                return try #require(Hex.decode(hex.map { $0.dropFirst(8) }.joined()))
            }
            plaintext = try bytes("plaintext, 136 bytes:")
            sealed = try bytes(suite == .aes ? "sealed, 164 bytes:" : "sealed, sm4, 184 bytes:")
            let written = try #require(lines.first { $0.hasPrefix("printf") && $0.hasSuffix("> entry1") })
            let text = try #require(written.split(separator: "'").first { $0.hasPrefix("{") })
            entry = try Entry(Array(text.utf8))
            scope = try #require(StreamID("object/019b76da4c0c00000000000000000002"))
        }
    }

    @Test(arguments: CipherSuite.allCases)
    func theKnownAnswerOpensPartByPart(suite: CipherSuite) throws {
        let known = try KnownAnswer(suite)
        #expect(known.plaintext.count == 136 && known.sealed.count == 136 + suite.overhead)
        let cipher = try SuiteCipher(suite)
        func open(_ sealed: [UInt8], _ key: ClosedRange<UInt8>, _ context: String) throws -> [UInt8] {
            var opened: [UInt8] = []
            let key = try CipherKey(SecretBytes(copying: key))
            try sealed.withUnsafeBytes { try cipher.open($0, key: key, context: context.utf8.span, to: &opened) }
            return opened
        }
        let plaintext = try open(known.sealed, 0x40...0x5F, "evidenced/sealed-claims/v1\n\(known.scope)\n1")
        #expect(plaintext == known.plaintext)
        // And is what is sealed here too.
        func seal(_ plaintext: [UInt8], _ key: ClosedRange<UInt8>, _ context: String) throws -> [UInt8] {
            var sealed: [UInt8] = []
            let key = try CipherKey(SecretBytes(copying: key))
            try cipher.seal(plaintext.span, key: key, context: context.utf8.span, to: &sealed)
            return sealed
        }
        let sealed = try seal(known.plaintext, 0x40...0x5F, "evidenced/sealed-claims/v1\n\(known.scope)\n1")
        #expect(sealed == known.sealed)
    }

    /// Claims someone else sealed, in a store someone else wrote, are read.
    @Test(arguments: CipherSuite.allCases)
    func theKnownAnswerIsReadFromAStore(suite: CipherSuite) throws {
        let known = try KnownAnswer(suite)
        let fixture = try LedgerFixture(suite: suite)
        func store(_ sealed: [UInt8]) throws {
            try fixture.tamper { transaction, schema in
                try transaction.set(schema.sealed, StoreKey.sealed(index: 1, ordinal: 0), sealed)
            }
        }
        func openings() throws -> [Opening] {
            var claims = try fixture.claims(known.scope, key: 0x40...0x5F)
            return try fixture.read { try claims.openings(of: known.entry, $0, $1) }
        }
        try store(known.sealed)
        let digest = SHA256Hasher().hash(Array("An example contract.\n".utf8)).hex
        #expect(
            try openings() == [
                Opening(scope: known.scope, name: "sha256", salt: Array(0x00...0x1F), value: .string(digest)),
                Opening(scope: known.scope, name: "size", salt: Array(0x20...0x3F), value: .int(21)),
            ]
        )
        // Changed in any byte, they are not.
        for position in stride(from: 0, to: known.sealed.count, by: 7) {
            try store(known.sealed.changed(at: position))
            #expect(throws: (any Error).self) { try openings() }
        }
    }

    /// Sealed rightly, under the right key, and not the claims all the same.
    @Test(arguments: CipherSuite.allCases)
    func plaintextsThatAreNotTheRecordsAreRefused(suite: CipherSuite) throws {
        let known = try KnownAnswer(suite)
        let fixture = try LedgerFixture(suite: suite)
        let cipher = try SuiteCipher(suite)
        let key = try CipherKey(SecretBytes(copying: 0x40...0x5F))
        let first = 34 + 66
        var longer = known.plaintext
        longer[33] = 67
        var shorter = known.plaintext
        shorter[33] = 65
        let swapped = Array(known.plaintext[first...] + known.plaintext[..<first])
        let plaintexts: [[UInt8]] = [
            [], Array(known.plaintext.prefix(1)), Array(known.plaintext.prefix(33)), Array(known.plaintext.prefix(34)),
            Array(known.plaintext.prefix(first)), Array(known.plaintext.dropLast()), known.plaintext + [0],
            known.plaintext + known.plaintext, swapped, longer, shorter, known.plaintext.changed(at: 0),
            known.plaintext.changed(at: first - 1), known.plaintext.changed(at: known.plaintext.count - 1),
            // A length that reaches far beyond the end.
            known.plaintext.changed(at: 32, by: 0xFF), Array(known.plaintext.prefix(32)) + [0xFF, 0xFF],
        ]
        for plaintext in plaintexts {
            var sealed: [UInt8] = []
            let context = "evidenced/sealed-claims/v1\n\(known.scope)\n1"
            try cipher.seal(plaintext.span, key: key, context: context.utf8.span, to: &sealed)
            try fixture.tamper { transaction, schema in
                try transaction.set(schema.sealed, StoreKey.sealed(index: 1, ordinal: 0), sealed)
            }
            var claims = try fixture.claims(known.scope, key: 0x40...0x5F)
            #expect(throws: StoreDamage.self, "\(Hex.encode(plaintext))") {
                try fixture.read { try claims.openings(of: known.entry, $0, $1) }
            }
        }
    }

    /// What the ledger itself seals has that form: salt, length, value, one after the other.
    @Test(arguments: CipherSuite.allCases)
    func whatIsSealedHasTheFormOfTheDocument(suite: CipherSuite) throws {
        let fixture = try LedgerFixture(suite: suite)
        let object = StreamID(kind: .object, id: try Sample.id())
        let index = try fixture.whileOpen { ledger in
            try ledger.submit([Sample.deposit(), Sample.deposit(object: object, fileName: "合同\"\n")]).receipts[1].index
        }
        let cipher = try SuiteCipher(suite)
        let (entry, sealed, content) = try fixture.read { transaction, schema in
            (
                try Entry(schema.entry(transaction, index)),
                try #require(try transaction.get(schema.sealed, StoreKey.sealed(index: index, ordinal: 0))),
                try #require(try schema.scopes.stored(transaction, StoreKey.stream(object)))
            )
        }
        func open(_ sealed: [UInt8], _ key: CipherKey, _ context: String) throws -> [UInt8] {
            var opened: [UInt8] = []
            try sealed.withUnsafeBytes { try cipher.open($0, key: key, context: context.utf8.span, to: &opened) }
            return opened
        }
        // The slot, and what shows that it was not changed.
        let hash = SHA256Hasher().hash(
            Array("evidenced/scope-slot/v1\n".utf8) + StoreKey.stream(object) + content.prefix(8)
        )
        #expect(content.count == 16 && content.dropFirst(8).elementsEqual(hash.bytes.prefix(8)))
        let slot = try #require(StoreKey.readNumber(content.prefix(8)))
        let tree = try KeyTree(directory: fixture.locations.keys, master: fixture.keyring.masterKey())
        guard case .living(let key) = try tree.key(of: slot) else { throw Unexpected("slot \(slot) has no key") }
        var rest = try open(sealed, key, "evidenced/sealed-claims/v1\n\(object)\n\(index)")[...]
        let values = [#""合同\"\n""#, "\"" + String(repeating: "ab", count: 32) + "\""]
        #expect(entry.claims[0].claims.map(\.name) == ["file_name", "sha256"])
        for (claim, value) in zip(entry.claims[0].claims, values) {
            let salt = Array(rest.prefix(32))
            #expect(Array(rest.dropFirst(32).prefix(2)) == [0, UInt8(value.utf8.count)])
            #expect(Array(rest.dropFirst(34).prefix(value.utf8.count)) == Array(value.utf8))
            rest = rest.dropFirst(34 + value.utf8.count)
            let preimage = "evidenced/claim/v1\n\(Base64.encode(salt))\n\(claim.name)\n\(value)"
            #expect(SHA256Hasher().hash(Array(preimage.utf8)) == claim.commitment)
        }
        #expect(rest.isEmpty)
    }
}

extension LedgerFixture {
    /// What opens claims of a scope under a key that is known.
    fileprivate func claims(_ scope: StreamID, key: ClosedRange<UInt8>) throws -> SealedClaims {
        let keys = try ClaimKeys(reading: locations.keys, keyring, read { try StoredKeys($0, $1) })
        var claims = try SealedClaims(keys, losses: .before(0))
        claims.remember(try CipherKey(SecretBytes(copying: key)), for: scope)
        return claims
    }
}
