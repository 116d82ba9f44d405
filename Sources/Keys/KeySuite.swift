import OpenSSL

/// Which algorithms wrap the keys of a tree. A tree has one, for its whole life.
public enum KeySuite: String, CaseIterable, Sendable {
    /// AES-256-GCM.
    case aes = "aes-256-gcm"
    /// SM4 in counter mode with HMAC-SM3, for those whose regulator asks for Chinese algorithms.
    case sm4 = "sm4-ctr-hmac-sm3"

    /// Bytes of a wrapped key.
    var wrappedBytes: Int {
        AuthenticatedCipher.keyBytes + (self == .aes ? AuthenticatedCipher.overhead : SM4Cipher.overhead)
    }
}

/// Wraps keys under other keys. Not for use by two threads at once.
final class KeyWrapper {
    private enum Engine {
        case aes(AuthenticatedCipher)
        case sm4(SM4Cipher)
    }

    let suite: KeySuite
    private let engine: Engine

    init(_ suite: KeySuite) throws {
        self.suite = suite
        engine = suite == .aes ? .aes(try AuthenticatedCipher()) : .sm4(SM4Cipher())
    }

    /// Appends the wrapped key.
    ///
    /// - Parameter context: what the key is: it unwraps under the same context only.
    func wrap(_ key: CipherKey, under wrapping: CipherKey, context: [UInt8], to bytes: inout [UInt8]) throws {
        switch engine {
        case .aes(let cipher): try cipher.seal(key, key: wrapping, context: context.span, to: &bytes)
        case .sm4(let cipher):
            try key.secret.withUnsafeBytes { try cipher.seal($0, key: wrapping, context: context.span, to: &bytes) }
        }
    }

    /// - Throws: `OpenSSLError` where key, context or any byte is another.
    func unwrap(_ wrapped: UnsafeRawBufferPointer, under wrapping: CipherKey, context: [UInt8]) throws -> CipherKey {
        switch engine {
        case .aes(let cipher): try cipher.openKey(wrapped, key: wrapping, context: context.span)
        case .sm4(let cipher):
            try CipherKey(
                SecretBytes(count: AuthenticatedCipher.keyBytes) {
                    try cipher.open(wrapped, key: wrapping, context: context.span, into: $0)
                }
            )
        }
    }
}
