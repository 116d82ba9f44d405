import Merkle
import OpenSSL
import Testing

@Suite("SM4-CTR with HMAC-SM3")
struct SM4CipherTests {
    /// Made with the Python package cryptography: HKDF, HMAC and SM4-CTR put together from its own parts.
    @Test("is what an independent program makes")
    func knownAnswer() throws {
        let key = try CipherKey(SecretBytes(copying: Array(0x40...0x5F)))
        let sealed = try SuiteCipher(.sm4).sealed(Array("证据 and evidence".utf8), key, Array("a context".utf8))
        #expect(Hex.encode(sealed) == SM4CipherTests.answer)
    }

    private static let answer =
        "7bf3de7bf5cea529b1f6cffe3ff3370bd2ca2f3aaa23b96f47b555394fdec66b6cae6366e8699b6aac624993ed24c3577cac"
        + "0ba63156b369d5ca4d6653f3de15c9b11e"
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
