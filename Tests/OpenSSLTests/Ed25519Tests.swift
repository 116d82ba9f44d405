import Dispatch
import Merkle
import OpenSSL
import Synchronization
import Testing

@Suite("Ed25519")
struct Ed25519Tests {
    struct Vector {
        let seed: String
        let publicKey: String
        let message: String
        let signature: String
    }

    /// RFC 8032 section 7.1, tests 1 to 3.
    static let vectors = [
        Vector(
            seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            message: "",
            signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        Vector(
            seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            message: "72",
            signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        Vector(
            seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            message: "af82",
            signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]

    @Test("signs and verifies as RFC 8032 says", arguments: vectors)
    func rfc8032(vector: Vector) throws {
        let key = try Ed25519PrivateKey(seed: SecretBytes(copying: #require(Hex.decode(vector.seed))))
        let message = try #require(Hex.decode(vector.message))
        let signature = try key.sign(message)
        #expect(Hex.encode(key.publicKey) == vector.publicKey)
        #expect(Hex.encode(signature) == vector.signature)
        #expect(try Ed25519PublicKey(key.publicKey).isValid(signature: signature, over: message))
    }

    @Test("refuses a signature changed in any bit, cut, grown, over another message or of another key")
    func forgeries() throws {
        let key = try Ed25519PrivateKey(seed: SecretBytes(copying: #require(Hex.decode(Ed25519Tests.vectors[0].seed))))
        let publicKey = try Ed25519PublicKey(key.publicKey)
        let message = Array("message".utf8)
        let signature = try key.sign(message)
        #expect(publicKey.isValid(signature: signature, over: message))
        for bit in 0..<512 {
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!publicKey.isValid(signature: changed, over: message), "bit \(bit)")
        }
        for count in 0..<64 { #expect(!publicKey.isValid(signature: Array(signature.prefix(count)), over: message)) }
        #expect(!publicKey.isValid(signature: signature + [0], over: message))
        #expect(!publicKey.isValid(signature: signature, over: message + [0]))
        #expect(!publicKey.isValid(signature: signature, over: []))
        let other = try Ed25519PrivateKey(
            seed: SecretBytes(copying: #require(Hex.decode(Ed25519Tests.vectors[1].seed)))
        )
        #expect(try !Ed25519PublicKey(other.publicKey).isValid(signature: signature, over: message))
    }

    @Test("refuses keys of another length")
    func lengths() {
        for count in [0, 1, 31, 33, 64] {
            #expect(throws: OpenSSLError.self) {
                try Ed25519PrivateKey(seed: SecretBytes(copying: [UInt8](repeating: 1, count: count)))
            }
            #expect(throws: OpenSSLError.self) { try Ed25519PublicKey([UInt8](repeating: 1, count: count)) }
        }
    }

    @Test("signs and verifies on many threads with one key")
    func threads() throws {
        let key = try Ed25519PrivateKey(seed: SecretBytes(copying: #require(Hex.decode(Ed25519Tests.vectors[0].seed))))
        let publicKey = try Ed25519PublicKey(key.publicKey)
        let valid = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 400) { iteration in
            let message = Array("\(iteration)".utf8)
            guard let signature = try? key.sign(message) else { return }
            if publicKey.isValid(signature: signature, over: message) { valid.withLock { $0 += 1 } }
        }
        #expect(valid.withLock { $0 } == 400)
    }
}
