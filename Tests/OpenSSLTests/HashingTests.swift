import Merkle
import OpenSSL
import Testing

@Suite("Hashing")
struct HashingTests {
    private static let block448 = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

    @Test(
        "SHA-256 gives the digests of FIPS 180",
        arguments: [
            ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (block448, 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ]
    )
    func sha256(text: String, times: Int, digest: String) {
        let message = String(repeating: text, count: times)
        #expect(SHA256Hasher().hash(Array(message.utf8)).hex == digest)
        #expect(HashingTests.inPieces(.sha256(), message, of: 1_000).hex == digest)
        #expect(HashingTests.inPieces(.sha256(), message, of: 63).hex == digest)
    }

    @Test(
        "SM3 gives the digests of GB/T 32905",
        arguments: [
            ("abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
            (
                String(repeating: "abcd", count: 16),
                "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
            ),
        ]
    )
    func sm3(message: String, digest: String) throws {
        #expect(try HashingTests.inPieces(.sm3(), message, of: 64).hex == digest)
        #expect(try HashingTests.inPieces(.sm3(), message, of: 1).hex == digest)
    }

    @Test("a finished digest begins anew")
    func reuse() {
        let running = RunningDigest.sha256()
        for _ in 0..<3 {
            #expect(
                HashingTests.inPieces(running, "abc", of: 2).hex
                    == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            )
        }
        #expect(running.finish().hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test("tree hashes are SHA-256 behind one byte")
    func treeHashes() {
        var hasher = SHA256Hasher()
        let left = hasher.hash(Array("left".utf8))
        let right = hasher.hash(Array("right".utf8))
        #expect(hasher.leaf(Array("abc".utf8)) == hasher.hash([0] + Array("abc".utf8)))
        #expect(hasher.node(left, right) == hasher.hash([1] + left.bytes + right.bytes))
        // RFC 6962: the leaf hash of an empty entry, and the root of an empty tree.
        #expect(hasher.leaf([]).hex == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
        #expect(hasher.empty().hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test(
        "HMAC gives the codes of RFC 4231",
        arguments: [
            (
                String(repeating: "0b", count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                "4a656665", "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                String(repeating: "aa", count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ]
    )
    func hmac(key: String, message: String, code: String) throws {
        #expect(
            try KeyedHash(key: SecretBytes(copying: #require(Hex.decode(key)))).hash(Array(message.utf8)).hex == code
        )
    }

    @Test("HMAC refuses a code changed in any bit, and one over other bytes")
    func hmacValidity() throws {
        let hash = try KeyedHash(key: SecretBytes(copying: #require(Hex.decode("4a656665"))))
        let message = Array("what do ya want for nothing?".utf8)
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        let code = try #require(Hex.decode(hex))
        func isValid(_ code: [UInt8]) throws -> Bool {
            hash.isValid(code: try #require(code.withUnsafeBytes { Digest($0, at: 0) }), over: message)
        }
        #expect(try isValid(code))
        for bit in 0..<256 {
            var changed = code
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try !isValid(changed), "bit \(bit)")
        }
        #expect(hash.isValid(code: hash.hash(message), over: message + [0]) == false)
    }

    private static func inPieces(_ running: RunningDigest, _ message: String, of count: Int) -> Digest {
        var rest = Array(message.utf8)[...]
        while !rest.isEmpty {
            Array(rest.prefix(count)).withUnsafeBytes { running.update($0) }
            rest = rest.dropFirst(count)
        }
        return running.finish()
    }
}
