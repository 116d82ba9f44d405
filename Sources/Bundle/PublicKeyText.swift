import LedgerFormat
public import Merkle
import OpenSSL

/// An Ed25519 public key in the PEM form openssl reads: a SubjectPublicKeyInfo (RFC 8410 section 4).
public enum PublicKeyText {
    static let beginning = "-----BEGIN PUBLIC KEY-----"
    static let end = "-----END PUBLIC KEY-----"
    /// What stands before the key's 32 bytes in DER.
    private static let derPrefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]

    /// - Parameter publicKey: 32 bytes.
    public static func pem(_ publicKey: [UInt8]) -> String {
        "\(beginning)\n\(Base64.encode(derPrefix + publicKey))\n\(end)\n"
    }

    /// SHA-256 of the SubjectPublicKeyInfo in DER: `openssl pkey -pubin -in FILE -outform DER | sha256sum`.
    ///
    /// - Parameter publicKey: 32 bytes.
    public static func fingerprint(_ publicKey: [UInt8]) -> Digest { SHA256Hasher().hash(derPrefix + publicKey) }

    /// The 32 bytes in a SubjectPublicKeyInfo; nil where it is another key's.
    static func publicKey(_ der: [UInt8]) -> [UInt8]? {
        guard der.count == derPrefix.count + 32, der.starts(with: derPrefix) else { return nil }
        return Array(der.dropFirst(derPrefix.count))
    }
}
