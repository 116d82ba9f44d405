import Merkle
import OpenSSL
import Testing

@Suite("AES-256-GCM")
struct AuthenticatedCipherTests {
    struct Vector {
        let key: String
        let nonce: String
        let plaintext: String
        let context: String
        let ciphertext: String
        let tag: String
    }

    /// Test cases 13, 14 and 16 of the GCM specification submitted to NIST.
    static let vectors = [
        Vector(
            key: String(repeating: "00", count: 32),
            nonce: String(repeating: "00", count: 12),
            plaintext: "",
            context: "",
            ciphertext: "",
            tag: "530f8afbc74536b9a963b4f1c4cb738b"
        ),
        Vector(
            key: String(repeating: "00", count: 32),
            nonce: String(repeating: "00", count: 12),
            plaintext: String(repeating: "00", count: 16),
            context: "",
            ciphertext: "cea7403d4d606b6e074ec5d3baf39d18",
            tag: "d0d1c8a799996bf0265b98b5d48ab919"
        ),
        Vector(
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888",
            plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            context: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            tag: "76fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ]

    @Test("opens what the specification sealed", arguments: vectors)
    func specification(vector: Vector) throws {
        let cipher = try AuthenticatedCipher(key: #require(Hex.decode(vector.key)))
        let sealed = try #require(Hex.decode(vector.nonce + vector.ciphertext + vector.tag))
        let context = try #require(Hex.decode(vector.context))
        #expect(try Hex.encode(cipher.open(sealed, context: context)) == vector.plaintext)
    }

    @Test("opens what it sealed", arguments: [0, 1, 15, 16, 17, 1_000, 100_000])
    func roundTrip(count: Int) throws {
        let cipher = try AuthenticatedCipher(key: SecureRandom.bytes(32))
        let plaintext = try SecureRandom.bytes(count)
        for context in [[], Array("context".utf8)] {
            let sealed = try cipher.seal(plaintext, context: context)
            #expect(sealed.count == count + AuthenticatedCipher.overhead)
            #expect(try cipher.open(sealed, context: context) == plaintext)
            // Another nonce each time.
            #expect(try cipher.seal(plaintext, context: context).prefix(12) != sealed.prefix(12))
        }
    }

    @Test("refuses what was changed in any bit, cut, bound to another context or sealed under another key")
    func refusals() throws {
        let cipher = try AuthenticatedCipher(key: SecureRandom.bytes(32))
        let context = Array("context".utf8)
        let sealed = try cipher.seal(Array("a plaintext".utf8), context: context)
        for bit in 0..<(sealed.count * 8) {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: OpenSSLError.self, "bit \(bit)") { try cipher.open(changed, context: context) }
        }
        for count in 0..<sealed.count {
            #expect(throws: OpenSSLError.self) { try cipher.open(Array(sealed.prefix(count)), context: context) }
        }
        for other in [[], Array("contexu".utf8), context + [0]] {
            #expect(throws: OpenSSLError.self) { try cipher.open(sealed, context: other) }
        }
        #expect(throws: OpenSSLError.self) {
            try AuthenticatedCipher(key: SecureRandom.bytes(32)).open(sealed, context: context)
        }
    }

    @Test("takes keys of 32 bytes only")
    func keys() {
        for count in [0, 16, 24, 31, 33] {
            #expect(throws: OpenSSLError.self) { try AuthenticatedCipher(key: [UInt8](repeating: 1, count: count)) }
        }
    }

    @Test("random bytes come in the number asked for and differ")
    func random() throws {
        for count in [0, 1, 32, 1_000] { #expect(try SecureRandom.bytes(count).count == count) }
        #expect(try Set((0..<1_000).map { _ in try SecureRandom.bytes(16) }).count == 1_000)
    }
}
