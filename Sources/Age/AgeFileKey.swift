public import OpenSSL

/// The 16 secret bytes that encrypt one age file: stanzas wrap them, payload and MAC are under keys derived from them.
public struct AgeFileKey: Sendable, Equatable {
    /// Bytes of a file key.
    public static let count = 16
    private static let headerInfo = Array("header".utf8)
    private static let payloadInfo = Array("payload".utf8)

    /// The 16 bytes, for whoever wraps them in a stanza of their own.
    public let secret: SecretBytes

    /// - Throws: `AgeKeyError.fileKey` where there are not exactly 16 bytes.
    public init(_ secret: SecretBytes) throws(AgeKeyError) {
        guard secret.count == AgeFileKey.count else { throw .fileKey }
        self.secret = secret
    }

    /// A new one. No two files have the same: a new header before the same payload is the same file.
    public static func random() throws -> AgeFileKey { try AgeFileKey(.random(count)) }

    /// HMAC-SHA-256 under the key of the header's MAC.
    func headerHash() throws -> KeyedHash {
        try KeyedHash(key: KeyDerivation.hkdfSHA256(key: secret, info: AgeFileKey.headerInfo, count: 32))
    }

    /// The key of the chunks of a payload that begins with this nonce.
    func payloadKey(nonce: [UInt8]) throws -> SecretBytes {
        try KeyDerivation.hkdfSHA256(key: secret, salt: nonce, info: AgeFileKey.payloadInfo, count: 32)
    }
}
