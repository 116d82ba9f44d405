import Merkle
import OpenSSL
import Testing

@Suite("Sealed messages")
struct SuiteCipherTests {
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

    @Test("of AES-256-GCM are opened as the specification sealed them", arguments: vectors)
    func specification(vector: Vector) throws {
        let key = try CipherKey(SecretBytes(copying: #require(Hex.decode(vector.key))))
        let sealed = try #require(Hex.decode(vector.nonce + vector.ciphertext + vector.tag))
        let context = try #require(Hex.decode(vector.context))
        #expect(try Hex.encode(SuiteCipher(.aes).opened(sealed, key, context)) == vector.plaintext)
    }

    @Test("are opened to what was sealed", arguments: [0, 1, 15, 16, 17, 1_000, 100_000], CipherSuite.allCases)
    func roundTrip(count: Int, suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let key = try CipherKey(SecretBytes.random(32))
        let plaintext = try SecureRandom.bytes(count)
        for context in [[], Array("context".utf8)] {
            let sealed = try cipher.sealed(plaintext, key, context)
            #expect(sealed.count == count + suite.overhead)
            #expect(try cipher.opened(sealed, key, context) == plaintext)
        }
    }

    @Test(
        "are refused where any bit was changed, cut, bound to another context or sealed under another key",
        arguments: CipherSuite.allCases
    )
    func refusals(suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let key = try CipherKey(SecretBytes.random(32))
        let context = Array("context".utf8)
        let sealed = try cipher.sealed(Array("a plaintext".utf8), key, context)
        for bit in 0..<(sealed.count * 8) {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: OpenSSLError.self, "bit \(bit)") { try cipher.opened(changed, key, context) }
        }
        for count in 0..<sealed.count {
            #expect(throws: OpenSSLError.self) { try cipher.opened(Array(sealed.prefix(count)), key, context) }
        }
        for other in [[], Array("contexu".utf8), context + [0]] {
            #expect(throws: OpenSSLError.self) { try cipher.opened(sealed, key, other) }
        }
        #expect(throws: OpenSSLError.self) {
            try cipher.opened(sealed, CipherKey(SecretBytes.random(32)), context)
        }
        // A refusal spoils nothing for what comes after.
        #expect(try cipher.opened(sealed, key, context) == Array("a plaintext".utf8))
    }

    /// The contexts keep the last key they had; each message must get its own all the same.
    @Test("are sealed and opened under keys that change from message to message", arguments: CipherSuite.allCases)
    func changingKeys(suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let keys = try (0..<3).map { _ in try CipherKey(SecretBytes.random(32)) }
        let order = [0, 0, 1, 0, 1, 1, 2, 0, 2, 2, 1]
        let sealed = try order.map { try cipher.sealed([UInt8($0)], keys[$0], []) }
        for (position, owner) in order.enumerated() {
            // One that knows no key yet opens the same.
            #expect(try SuiteCipher(suite).opened(sealed[position], keys[owner], []) == [UInt8(owner)])
            #expect(try cipher.opened(sealed[position], keys[owner], []) == [UInt8(owner)])
            #expect(throws: OpenSSLError.self) { try cipher.opened(sealed[position], keys[(owner + 1) % 3], []) }
        }
    }

    @Test("hold another key as the 32 bytes it is", arguments: CipherSuite.allCases)
    func wrappedKeys(suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let bytes = try SecureRandom.bytes(32)
        let key = try CipherKey(SecretBytes.random(32))
        let context = Array("key".utf8)
        var sealed: [UInt8] = []
        try cipher.seal(SecretBytes(copying: bytes), key: key, context: context.span, to: &sealed)
        #expect(sealed.count == suite.sealedKeyBytes)
        #expect(try cipher.opened(sealed, key, context) == bytes)
        let opened = try sealed.withUnsafeBytes { try cipher.openKey($0, key: key, context: context.span) }
        #expect(try opened == CipherKey(SecretBytes(copying: bytes)))
        // What is longer is none.
        let longer = try cipher.sealed(bytes + [0], key, context)
        #expect(throws: OpenSSLError.self) {
            try longer.withUnsafeBytes { try cipher.openKey($0, key: key, context: context.span) }
        }
    }

    @Test(
        "are appended, and what they are opened to takes the place of what there was",
        arguments: CipherSuite.allCases
    )
    func buffers(suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let key = try CipherKey(SecretBytes.random(32))
        let texts: [[UInt8]] = [[1, 2, 3], [4], []]
        let context = texts[2]
        var sealed = Array("head".utf8)
        for text in texts { try cipher.seal(text.span, key: key, context: context.span, to: &sealed) }
        #expect(sealed.starts(with: "head".utf8))
        var opened = Array("something longer than what is opened".utf8)
        var rest = sealed[4...]
        for text in texts {
            let message = rest.prefix(text.count + suite.overhead)
            rest = rest.dropFirst(message.count)
            try message.withUnsafeBytes { try cipher.open($0, key: key, context: context.span, to: &opened) }
            #expect(opened == text)
        }
        #expect(rest.isEmpty)
    }

    @Test("do not open in another suite", arguments: CipherSuite.allCases)
    func otherSuites(suite: CipherSuite) throws {
        let key = try CipherKey(SecretBytes.random(32))
        let sealed = try SuiteCipher(suite).sealed([UInt8](repeating: 1, count: 100), key, [1])
        for other in CipherSuite.allCases where other != suite {
            #expect(throws: OpenSSLError.self) { try SuiteCipher(other).opened(sealed, key, [1]) }
        }
    }

    @Test("takes keys of 32 bytes only")
    func keys() {
        for count in [1, 16, 24, 31, 33] {
            #expect(throws: OpenSSLError.self) {
                try CipherKey(SecretBytes(copying: [UInt8](repeating: 1, count: count)))
            }
        }
    }

    @Test("random bytes come in the number asked for and differ")
    func random() throws {
        for count in [0, 1, 32, 1_000] { #expect(try SecureRandom.bytes(count).count == count) }
        #expect(try Set((0..<1_000).map { _ in try SecureRandom.bytes(16) }).count == 1_000)
    }

    @Test("random secrets drawn in blocks come in the number asked for and never twice")
    func supply() throws {
        let supply = RandomSupply()
        var seen: Set<[UInt8]> = []
        // Several blocks, with draws that do not fit into what is left of one, and some thrown away.
        for draw in 0..<2_000 {
            let count = draw % 3 == 0 ? 12 : 32
            let drawn = try supply.secret(count).withUnsafeBytes { Array($0) }
            #expect(drawn.count == count && !drawn.allSatisfy { $0 == 0 })
            #expect(seen.insert(Array(drawn.prefix(12))).inserted)
            if draw % 7 == 0 { supply.discard() }
        }
        #expect(try supply.secret(256).count == 256)
    }

    @Test("of the same are the same, and of anything else have another nonce", arguments: CipherSuite.allCases)
    func nonces(suite: CipherSuite) throws {
        let cipher = try SuiteCipher(suite)
        let key = try CipherKey(SecretBytes.random(32))
        let text = Array("a plaintext".utf8)
        let sealed = try cipher.sealed(text, key, [1])
        #expect(try SuiteCipher(suite).sealed(text, key, [1]) == sealed)
        let nonce = suite == .aes ? 12 : 16
        var nonces: Set<[UInt8]> = [Array(sealed.prefix(nonce))]
        for position in text.indices {
            var other = text
            other[position] ^= 1
            nonces.insert(Array(try cipher.sealed(other, key, [1]).prefix(nonce)))
        }
        nonces.insert(Array(try cipher.sealed(text, key, [2]).prefix(nonce)))
        nonces.insert(Array(try cipher.sealed(text, CipherKey(SecretBytes.random(32)), [1]).prefix(nonce)))
        nonces.insert(Array(try cipher.sealed(text + [0], key, [1]).prefix(nonce)))
        #expect(nonces.count == text.count + 4)
    }
}

extension SuiteCipher {
    func sealed(_ plaintext: [UInt8], _ key: CipherKey, _ context: [UInt8]) throws -> [UInt8] {
        var sealed: [UInt8] = []
        try seal(plaintext.span, key: key, context: context.span, to: &sealed)
        return sealed
    }

    func opened(_ sealed: [UInt8], _ key: CipherKey, _ context: [UInt8]) throws -> [UInt8] {
        var plaintext: [UInt8] = []
        try sealed.withUnsafeBytes { try open($0, key: key, context: context.span, to: &plaintext) }
        return plaintext
    }
}
