import Merkle
import OpenSSL
import Testing

@Suite("SM4-CTR with HMAC-SM3")
struct SM4CipherTests {
    private func sealed(_ plaintext: [UInt8], _ key: CipherKey, _ context: [UInt8]) throws -> [UInt8] {
        var sealed: [UInt8] = []
        let cipher = SM4Cipher()
        try plaintext.withUnsafeBytes { try cipher.seal($0, key: key, context: context.span, to: &sealed) }
        return sealed
    }

    private func opened(_ sealed: [UInt8], _ key: CipherKey, _ context: [UInt8]) throws -> [UInt8] {
        var plaintext = [UInt8](repeating: 0, count: max(0, sealed.count - SM4Cipher.overhead))
        try plaintext.withUnsafeMutableBytes { plaintext in
            try sealed.withUnsafeBytes { try SM4Cipher().open($0, key: key, context: context.span, into: plaintext) }
        }
        return plaintext
    }

    /// Made with the Python package cryptography: HKDF, HMAC and SM4-CTR put together from its own parts.
    @Test("is what an independent program makes")
    func knownAnswer() throws {
        let key = try CipherKey(SecretBytes(copying: Array(0x40...0x5F)))
        let sealed = try sealed(Array("证据 and evidence".utf8), key, Array("a context".utf8))
        #expect(Hex.encode(sealed) == SM4CipherTests.answer)
    }

    private static let answer =
        "7bf3de7bf5cea529b1f6cffe3ff3370bd2ca2f3aaa23b96f47b555394fdec66b6cae6366e8699b6aac624993ed24c3577cac"
        + "0ba63156b369d5ca4d6653f3de15c9b11e"

    @Test("opens what it sealed", arguments: [0, 1, 15, 16, 17, 1_000, 100_000])
    func roundTrip(count: Int) throws {
        let key = try CipherKey(SecretBytes.random(32))
        let plaintext = try SecureRandom.bytes(count)
        for context in [[], Array("context".utf8)] {
            let sealed = try sealed(plaintext, key, context)
            #expect(sealed.count == count + SM4Cipher.overhead)
            #expect(try opened(sealed, key, context) == plaintext)
        }
    }

    @Test("refuses what was changed in any bit, cut, bound to another context or sealed under another key")
    func refusals() throws {
        let key = try CipherKey(SecretBytes.random(32))
        let context = Array("context".utf8)
        let sealed = try sealed(Array("a plaintext".utf8), key, context)
        for bit in 0..<(sealed.count * 8) {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: OpenSSLError.self, "bit \(bit)") { try opened(changed, key, context) }
        }
        for count in 0..<sealed.count {
            #expect(throws: OpenSSLError.self) { try opened(Array(sealed.prefix(count)), key, context) }
        }
        #expect(throws: OpenSSLError.self) { try opened(sealed, key, Array("contexu".utf8)) }
        #expect(throws: OpenSSLError.self) { try opened(sealed, CipherKey(SecretBytes.random(32)), context) }
    }
}

@Suite("HKDF")
struct KeyDerivationTests {
    /// RFC 5869, appendix A.1 and A.3.
    @Test("gives what RFC 5869 says")
    func specification() throws {
        let key = SecretBytes(copying: [UInt8](repeating: 0x0b, count: 22))
        func hex(_ secret: SecretBytes) -> String { secret.withUnsafeBytes { Hex.encode(Array($0)) } }
        #expect(
            try hex(
                KeyDerivation.hkdfSHA256(key: key, salt: Array(0...0x0c), info: Array(0xf0...0xf9), count: 42)
            ) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        )
        #expect(
            try hex(KeyDerivation.hkdfSHA256(key: key, info: [], count: 42))
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        )
    }
}
