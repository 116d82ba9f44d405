import LedgerFormat
import Merkle

/// An Ed25519 public key in the PEM form openssl reads: a SubjectPublicKeyInfo (RFC 8410 section 4).
public enum PublicKeyText {
    /// What stands before the key's 32 bytes in DER.
    private static let derPrefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]

    /// - Parameter publicKey: 32 bytes.
    public static func pem(_ publicKey: [UInt8]) -> String {
        "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(derPrefix + publicKey))\n-----END PUBLIC KEY-----\n"
    }
}
