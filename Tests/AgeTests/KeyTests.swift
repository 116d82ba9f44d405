import Merkle
import OpenSSL
import Testing

@testable import Age

@Suite("Recipients and identities of age")
struct KeyTests {
    /// The examples of age.md: the identity is 32 times the byte 0x42.
    private static let identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    private static let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

    private static func read(_ text: String) throws -> AgeIdentity {
        try Array(text.utf8).withUnsafeBytes { try AgeIdentity($0) }
    }

    private static func text(_ identity: AgeIdentity) -> String {
        identity.text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    private static func text(_ publicKey: [UInt8]) -> String {
        var text = [UInt8](repeating: 0, count: Bech32.recipient.count)
        publicKey.withUnsafeBytes { key in text.withUnsafeMutableBytes { Bech32.recipient.encode(key, into: $0) } }
        return String(decoding: text, as: UTF8.self)
    }

    @Test("are those of the specification")
    func specification() throws {
        let identity = try Self.read(Self.identity)
        #expect(identity.recipient.description == Self.recipient)
        #expect(Self.text(identity) == Self.identity)
        #expect(try AgeRecipient(Self.recipient) == identity.recipient)
    }

    @Test("come back as they were written")
    func roundTrip() throws {
        for _ in 0..<50 {
            let identity = try AgeIdentity.random()
            #expect(try AgeRecipient(identity.recipient.description) == identity.recipient)
            let again = try Self.read(Self.text(identity))
            #expect(Self.text(again) == Self.text(identity) && again.recipient == identity.recipient)
        }
    }

    @Test("mistyped in any one character are refused")
    func mistyped() throws {
        for (position, digit) in Self.recipient.utf8.enumerated() {
            for other in "qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8 where other != digit {
                var text = Array(Self.recipient.utf8)
                text[position] = other
                let expected: AgeKeyError = position < 4 ? .prefix : .checksum
                #expect(throws: expected) { try AgeRecipient(String(decoding: text, as: UTF8.self)) }
            }
        }
    }

    @Test("spelt in any other way are refused")
    func spellings() throws {
        let (recipient, identity) = (Self.recipient, Self.identity)
        let recipients: [(String, AgeKeyError)] = [
            ("", .prefix), ("age", .prefix), ("age1", .length), (recipient.uppercased(), .prefix),
            ("Age1" + recipient.dropFirst(4), .prefix), (" " + recipient, .prefix), (recipient + "\n", .length),
            (String(recipient.dropLast()), .length), (recipient + "q", .length),
            (recipient.dropLast() + "J", .character), ("age1Z" + recipient.dropFirst(5), .character),
            ("age1b" + recipient.dropFirst(5), .character), ("age11" + recipient.dropFirst(5), .character),
            (identity, .prefix), (identity.lowercased(), .prefix), ("age1pq" + recipient.dropFirst(6), .checksum),
            ("age1\0" + recipient.dropFirst(5), .character),
        ]
        for (text, error) in recipients { #expect(throws: error, "\(text)") { try AgeRecipient(text) } }
        let identities: [(String, AgeKeyError)] = [
            ("", .prefix), ("AGE-SECRET-KEY-1", .length), (identity.lowercased(), .prefix), (recipient, .prefix),
            (String(identity.dropLast()), .length), (identity + "\n", .length),
            (identity.dropLast() + "x", .character), (identity.dropLast() + "Y", .checksum),
            ("AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR", .prefix),
        ]
        for (text, error) in identities { #expect(throws: error, "\(text)") { try Self.read(text) } }
    }

    /// The checksum is right, and the four bits that the key doesn't fill are 0001 (computed with BIP 173's reference
    /// implementation).
    @Test("with bits beyond the key are refused")
    func padding() throws {
        #expect(throws: AgeKeyError.padding) {
            try AgeRecipient("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73epp9g8nq")
        }
    }

    @Test("that nobody has, or with which all have the same, are refused as recipients")
    func weak() throws {
        let lowOrder = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
        for hex in lowOrder {
            #expect(throws: AgeKeyError.lowOrder, "\(hex)") {
                try AgeRecipient(Self.text(#require(Hex.decode(hex))))
            }
        }
        let others = [
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "0900000000000000000000000000000000000000000000000000000000000080",
        ]
        for hex in others {
            #expect(throws: AgeKeyError.notCanonical, "\(hex)") {
                try AgeRecipient(Self.text(#require(Hex.decode(hex))))
            }
        }
        // The base point.
        let sound = "09" + String(repeating: "00", count: 31)
        #expect(try AgeRecipient(Self.text(#require(Hex.decode(sound)))).publicKey == Hex.decode(sound))
    }

    @Test("a file key has 16 bytes", arguments: [0, 15, 17, 32])
    func fileKeys(count: Int) {
        #expect(throws: AgeKeyError.fileKey) { try AgeFileKey(.random(count)) }
    }

    @Test("find the file key that was wrapped for them, among stanzas for others, and nobody else does")
    func wrapping() throws {
        let (mine, other, stranger) = try (AgeIdentity.random(), AgeIdentity.random(), AgeIdentity.random())
        let fileKey = try AgeFileKey.random()
        let own = try AgeStanza(arguments: ["example.org/of-our-own"], body: [1, 2, 3])
        let stanzas = try [own, other.recipient.wrap(fileKey), mine.recipient.wrap(fileKey)]
        let header = try AgeHeader(stanzas, fileKey: fileKey)
        #expect(try mine.fileKey(of: header) == fileKey)
        #expect(try other.fileKey(of: header) == fileKey)
        #expect(try stranger.fileKey(of: header) == nil)
        // A new header before the same payload, for another.
        let replaced = try AgeHeader([stranger.recipient.wrap(fileKey)], fileKey: fileKey)
        #expect(try stranger.fileKey(of: replaced) == fileKey)
        #expect(try mine.fileKey(of: replaced) == nil)
        // Each stanza has a share of its own.
        #expect(Set(stanzas.dropFirst().map { $0.arguments[1] }).count == 2)
        #expect(try mine.recipient.wrap(fileKey) != mine.recipient.wrap(fileKey))
    }

    @Test("refuse a header whose MAC is another, though they find a file key")
    func otherHeader() throws {
        let mine = try AgeIdentity.random()
        let (fileKey, other) = try (AgeFileKey.random(), AgeFileKey.random())
        let header = try AgeHeader([mine.recipient.wrap(fileKey)], fileKey: other)
        #expect(throws: AgeHeaderError(.unauthentic)) { try mine.fileKey(of: header) }
    }

    @Test("refuse a header with an X25519 stanza that is none, even behind their own")
    func malformed() throws {
        let mine = try AgeIdentity.random()
        let fileKey = try AgeFileKey.random()
        let share = String(repeating: "A", count: 43)
        let body = [UInt8](repeating: 0, count: 32)
        let malformed: [([String], [UInt8], AgeHeaderError.Rule)] = [
            (["X25519"], body, .x25519Arguments), (["X25519", share, "a"], body, .x25519Arguments),
            (["X25519", share + "="], body, .x25519Share), (["X25519", String(share.dropLast())], body, .x25519Share),
            (["X25519", share.dropLast() + "B"], body, .x25519Share), (["X25519", share + "A"], body, .x25519Share),
            (["X25519", share], [], .x25519Body), (["X25519", share], body + [0], .x25519Body),
            (["X25519", share], Array(body.dropLast()), .x25519Body),
        ]
        for (arguments, body, rule) in malformed {
            let stanzas = try [mine.recipient.wrap(fileKey), AgeStanza(arguments: arguments, body: body)]
            let header = try AgeHeader(stanzas, fileKey: fileKey)
            #expect(throws: AgeHeaderError(rule, .stanza(2)), "\(arguments)") { try mine.fileKey(of: header) }
        }
        let lowOrder = try AgeHeader([AgeStanza(arguments: ["X25519", share], body: body)], fileKey: fileKey)
        #expect(throws: AgeHeaderError(.x25519LowOrder, .stanza(1))) { try mine.fileKey(of: lowOrder) }
        // Other types may look as they like.
        let lowerCase = try AgeHeader([AgeStanza(arguments: ["x25519"], body: [])], fileKey: fileKey)
        #expect(try mine.fileKey(of: lowerCase) == nil)
    }
}
