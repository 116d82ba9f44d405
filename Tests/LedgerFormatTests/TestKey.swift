import LedgerFormat
import Merkle
import OpenSSL

/// An Ed25519 key that signs and verifies notes.
struct TestKey: NoteSigner, NoteVerifier {
    /// The seed of RFC 8032 section 7.1, test 1.
    static let rfc8032Seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

    let privateKey: Ed25519PrivateKey
    let verificationKey: VerificationKey

    init(name: String, seed: String = TestKey.rfc8032Seed) throws {
        privateKey = try Ed25519PrivateKey(seed: SecretBytes(copying: Hex.decode(seed) ?? []))
        verificationKey = try VerificationKey(
            name: name,
            publicKey: privateKey.publicKey,
            sha256: SHA256Hasher().hash
        )
    }

    var name: String { verificationKey.name }
    var keyID: UInt32 { verificationKey.keyID }

    func sign(_ text: [UInt8]) throws -> [UInt8] { try privateKey.sign(text) }

    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool {
        PublicKeyVerifier(verificationKey).isValid(signature: signature, over: text)
    }
}

/// Verifies with nothing but a verification key.
struct PublicKeyVerifier: NoteVerifier {
    let key: VerificationKey

    init(_ key: VerificationKey) {
        self.key = key
    }

    var name: String { key.name }
    var keyID: UInt32 { key.keyID }

    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool {
        (try? Ed25519PublicKey(key.publicKey))?.isValid(signature: signature, over: text) ?? false
    }
}
