import Merkle
import OpenSSL

/// Whom a file is encrypted to: an X25519 public key, as text `age1…`.
public struct AgeRecipient: Sendable, Equatable, CustomStringConvertible {
    /// A private key for no end but to find points of low order; with those every private key gives the same.
    private static let anyScalar = SecretBytes(copying: [UInt8](repeating: 0x42, count: 32))

    /// The 32 bytes of the u-coordinate (RFC 7748), little-endian.
    public let publicKey: [UInt8]

    /// - Parameter text: 62 characters, in lower case; nothing around them.
    /// - Throws: `AgeKeyError`, also for keys that nobody's identity has; `MissingAlgorithm` where libcrypto has no X25519.
    public init(_ text: some StringProtocol) throws {
        var publicKey = [UInt8](repeating: 0, count: Bech32.keyBytes)
        let characters = Array(text.utf8)
        try characters.withUnsafeBytes { characters in
            try publicKey.withUnsafeMutableBytes { try Bech32.recipient.decode(characters, into: $0) }
        }
        guard AgeRecipient.isCanonical(publicKey) else { throw AgeKeyError.notCanonical }
        do {
            _ = try X25519PrivateKey(scalar: AgeRecipient.anyScalar).sharedSecret(with: publicKey)
        } catch is OpenSSLError {
            throw AgeKeyError.lowOrder
        }
        self.publicKey = publicKey
    }

    init(of identity: X25519PrivateKey) { publicKey = identity.publicKey }

    /// The text, 62 characters.
    public var description: String {
        var text = [UInt8](repeating: 0, count: Bech32.recipient.count)
        publicKey.withUnsafeBytes { key in text.withUnsafeMutableBytes { Bech32.recipient.encode(key, into: $0) } }
        return String(decoding: text, as: UTF8.self)
    }

    /// A stanza by which the identity of this recipient, and nobody else, finds the file key. It doesn't tell whose it is.
    public func wrap(_ fileKey: AgeFileKey) throws -> AgeStanza {
        let ephemeral = try X25519PrivateKey(scalar: .random(32))
        let cipher = try AgeX25519.cipher(
            ephemeral.sharedSecret(with: publicKey),
            share: ephemeral.publicKey,
            recipient: publicKey
        )
        var body: [UInt8] = []
        try fileKey.secret.withUnsafeBytes { try cipher.seal($0, nonce: AgeX25519.nonce, to: &body) }
        var share: [UInt8] = []
        ephemeral.publicKey.withUnsafeBytes { Base64.appendUnpadded($0, to: &share) }
        return try AgeStanza(arguments: ["X25519", String(decoding: share, as: UTF8.self)], body: body)
    }

    /// Whether it is below 2^255 - 19, as every public key is that was computed.
    private static func isCanonical(_ coordinate: [UInt8]) -> Bool {
        coordinate[31] < 0x7F
            || coordinate[31] == 0x7F && (coordinate[0] < 0xED || coordinate[1..<31].contains { $0 != 0xFF })
    }
}

/// What the two ends of an X25519 stanza have in common.
enum AgeX25519 {
    /// The key is new for each stanza, so that the nonce need not be.
    static let nonce = ChaCha20Poly1305.Nonce(repeating: 0)
    private static let info = Array("age-encryption.org/v1/X25519".utf8)

    /// The cipher that wraps the file key.
    static func cipher(_ secret: SecretBytes, share: [UInt8], recipient: [UInt8]) throws -> ChaCha20Poly1305 {
        try ChaCha20Poly1305(
            key: KeyDerivation.hkdfSHA256(key: secret, salt: share + recipient, info: info, count: 32)
        )
    }
}
