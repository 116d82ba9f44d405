public import LedgerFormat
public import Merkle
import OpenSSL

/// A checkpoint and the note that carries its signature.
public struct SignedCheckpoint: Sendable, Equatable {
    public let checkpoint: Checkpoint
    /// The C2SP signed note, as text.
    public let note: String
    /// Time of the last entry it covers.
    public let time: LedgerTime

    public var size: UInt64 { checkpoint.size }
    public var root: Digest { checkpoint.root }
}

/// Signs checkpoints with the ledger's Ed25519 key.
struct CheckpointSigner: NoteSigner {
    private let key: Ed25519PrivateKey
    let name: String
    let keyID: UInt32
    /// The verification key in C2SP signed-note form.
    let vkey: String
    /// The 32 bytes of the public key.
    var publicKey: [UInt8] { key.publicKey }

    init(seed: SecretBytes, origin: String) throws {
        key = try Ed25519PrivateKey(seed: seed)
        let verification = try VerificationKey(
            name: origin,
            publicKey: key.publicKey,
            sha256: { SHA256Hasher().hash($0) }
        )
        name = origin
        keyID = verification.keyID
        vkey = verification.text
    }

    func sign(_ text: [UInt8]) throws -> [UInt8] { try key.sign(text) }
}

/// Verifies the signatures of one Ed25519 verification key.
public struct CheckpointVerifier: NoteVerifier {
    private let key: Ed25519PublicKey
    public let name: String
    public let keyID: UInt32

    /// - Parameter vkey: the C2SP signed-note form.
    public init(vkey: String) throws {
        let verification = try VerificationKey(parsing: vkey, sha256: { SHA256Hasher().hash($0) })
        key = try Ed25519PublicKey(verification.publicKey)
        name = verification.name
        keyID = verification.keyID
    }

    public func isValid(signature: [UInt8], over text: [UInt8]) -> Bool {
        key.isValid(signature: signature, over: text)
    }
}
