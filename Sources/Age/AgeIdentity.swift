import Merkle
public import OpenSSL

/// Who opens a file: an X25519 private key, as text `AGE-SECRET-KEY-1…`.
public struct AgeIdentity: Sendable {
    private let scalar: SecretBytes
    private let key: X25519PrivateKey
    /// Whom to encrypt to, so that this identity opens it.
    public let recipient: AgeRecipient

    private init(scalar: SecretBytes) throws {
        self.scalar = scalar
        key = try X25519PrivateKey(scalar: scalar)
        recipient = AgeRecipient(of: key)
    }

    /// A new one.
    public static func random() throws -> AgeIdentity { try AgeIdentity(scalar: .random(Bech32.keyBytes)) }

    /// - Parameter text: 74 characters, in upper case; nothing around them.
    /// - Throws: `AgeKeyError`; `MissingAlgorithm` where libcrypto has no X25519.
    public init(_ text: UnsafeRawBufferPointer) throws {
        try self.init(scalar: SecretBytes(count: Bech32.keyBytes) { try Bech32.identity.decode(text, into: $0) })
    }

    /// The text, 74 characters.
    public var text: SecretBytes {
        scalar.withUnsafeBytes { scalar in
            SecretBytes(count: Bech32.identity.count) { Bech32.identity.encode(scalar, into: $0) }
        }
    }

    /// The file key, from the first stanza that is for this identity; nil where none is. The header was made with that key,
    /// and nobody changed it since.
    ///
    /// - Throws: `AgeHeaderError` where any X25519 stanza is not as it must be, even one for others; where one to be tried
    ///   has a share of low order; or where the MAC is another.
    public func fileKey(of header: AgeHeader) throws -> AgeFileKey? {
        var shares: [(number: Int, share: [UInt8], body: [UInt8])] = []
        for (number, stanza) in zip(1..., header.stanzas) where stanza.isOf(type: "X25519") {
            shares.append((number, try AgeIdentity.share(stanza, number), stanza.body))
        }
        for (number, share, body) in shares {
            guard let fileKey = try unwrap(body, share, number) else { continue }
            try header.check(fileKey)
            return fileKey
        }
        return nil
    }

    private func unwrap(_ body: [UInt8], _ share: [UInt8], _ number: Int) throws -> AgeFileKey? {
        let secret: SecretBytes
        do { secret = try key.sharedSecret(with: share) } catch is OpenSSLError {
            throw AgeHeaderError(.x25519LowOrder, .stanza(number))
        }
        let cipher = try AgeX25519.cipher(secret, share: share, recipient: recipient.publicKey)
        var isOpened = false
        let opened = try SecretBytes(count: AgeFileKey.count) { output in
            isOpened = try body.withUnsafeBytes { try cipher.open($0, nonce: AgeX25519.nonce, into: output) }
        }
        return isOpened ? try AgeFileKey(opened) : nil
    }

    private static func share(_ stanza: AgeStanza, _ number: Int) throws(AgeHeaderError) -> [UInt8] {
        guard stanza.arguments.count == 2 else { throw AgeHeaderError(.x25519Arguments, .stanza(number)) }
        var share = [UInt8](repeating: 0, count: 32)
        let isRead = Array(stanza.arguments[1].utf8).withUnsafeBytes { text in
            share.withUnsafeMutableBytes { Base64.decodeUnpadded(text, into: $0) }
        }
        guard isRead else { throw AgeHeaderError(.x25519Share, .stanza(number)) }
        // Checked before it is decrypted: what opens under many keys would show which of them are there.
        guard stanza.body.count == AgeFileKey.count + ChaCha20Poly1305.tagBytes else {
            throw AgeHeaderError(.x25519Body, .stanza(number))
        }
        return share
    }
}
