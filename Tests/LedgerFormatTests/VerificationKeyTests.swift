import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("Verification keys")
struct VerificationKeyTests {
    /// From the tests of golang.org/x/mod/sumdb/note and from C2SP signed-note.
    static let published = [
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ]

    private static func parse(_ text: String) throws -> VerificationKey {
        try VerificationKey(parsing: text, sha256: SHA256Hasher().hash)
    }

    @Test("others publish are read and written back", arguments: published)
    func publishedKeys(text: String) throws {
        let key = try VerificationKeyTests.parse(text)
        #expect(key.text == text)
        #expect(key.name + "+" == text.prefix(key.name.count + 1))
        #expect(key.publicKey.count == 32)
    }

    @Test("mangled anywhere are refused")
    func manglings() {
        let text = VerificationKeyTests.published[0]
        let bytes = Array(text.utf8)
        for start in 0..<bytes.count {
            for end in start...bytes.count where end - start < bytes.count {
                let part = String(decoding: bytes[start..<end], as: UTF8.self)
                #expect(throws: NoteError.self, "\(part)") { try VerificationKeyTests.parse(part) }
            }
        }
        for position in bytes.indices {
            for mask: UInt8 in [0x01, 0x20, 0x40] {
                var changed = bytes
                changed[position] ^= mask
                let mangled = String(decoding: changed, as: UTF8.self)
                #expect(throws: NoteError.self, "\(mangled)") { try VerificationKeyTests.parse(mangled) }
            }
        }
    }

    @Test(
        "of another length, algorithm or spelling are refused",
        arguments: [
            // Wrong length and unknown algorithm, each with the key ID that belongs to it.
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+00c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
            "PeterNeumann++ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+", "++", "",
            "PeterNeumann+\u{301}c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+\u{200D}ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzh\u{212A}qiBfsVkmqq/LDE4izWy10TW",
        ]
    )
    func malformed(text: String) {
        #expect(throws: NoteError.self) { try VerificationKeyTests.parse(text) }
    }

    @Test("differ where the bytes of their names do")
    func lookAlikes() throws {
        let bytes = [UInt8](repeating: 7, count: 32)
        func key(_ name: String) throws -> VerificationKey {
            try VerificationKey(name: name, publicKey: bytes, sha256: SHA256Hasher().hash)
        }
        #expect(try key("K.example") != key("\u{212A}.example"))
        #expect(try key("caf\u{E9}") != key("cafe\u{301}"))
        // A name may end in a mark; the plus sign after it ends it all the same.
        #expect(try VerificationKeyTests.parse(key("cafe\u{301}").text) == key("cafe\u{301}"))
        #expect(try VerificationKeyTests.parse(key("\u{301}a").text) == key("\u{301}a"))
    }

    @Test("may have a plus sign in their base64")
    func plusSigns() throws {
        // 0xFB 0xFB… has runs of 111110, which base64 writes as a plus sign.
        let key = try VerificationKey(
            name: "example.com/a",
            publicKey: [UInt8](repeating: 0xFB, count: 32),
            sha256: SHA256Hasher().hash
        )
        #expect(key.text.filter { $0 == "+" }.count > 2)
        #expect(try VerificationKeyTests.parse(key.text) == key)
    }

    @Test("need a name without white space, plus signs and control characters")
    func names() {
        let key = [UInt8](repeating: 7, count: 32)
        for name in ["", "a b", "a+b", "a\nb", "a\u{A0}b", "a\u{2003}b", "a\u{85}b", "a\0", "a\u{7F}", "\u{3000}"] {
            #expect(throws: NoteError.self, "\(name.debugDescription)") {
                try VerificationKey(name: name, publicKey: key, sha256: SHA256Hasher().hash)
            }
        }
        for count in [0, 31, 33, 64] {
            #expect(throws: NoteError.self) {
                try VerificationKey(
                    name: "a",
                    publicKey: [UInt8](repeating: 7, count: count),
                    sha256: SHA256Hasher().hash
                )
            }
        }
    }

    @Test(
        "of small order, or spelt otherwise than RFC 8032 has it, are refused",
        arguments: [
            // The orders 1, 2, 4 and 8, and p + 1 for 1.
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
    )
    func weak(digits: String) throws {
        let key = try #require(Hex.decode(digits))
        #expect(throws: NoteError.self) {
            try VerificationKey(name: "a", publicKey: key, sha256: SHA256Hasher().hash)
        }
    }

    @Test("are compared by bytes: a K that is U+212A is none")
    func kelvin() throws {
        let text = VerificationKeyTests.published[0].replacing("K", with: "\u{212A}")
        #expect(throws: NoteError.self) { try VerificationKeyTests.parse(text) }
    }
}
