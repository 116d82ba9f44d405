/// Seals and opens messages with the algorithms of a suite, under keys that may change from message to message. Not for use
/// by two threads at once.
///
/// Of either suite a message has a nonce that is made of what is sealed, so that two messages under one key have the same
/// one only where they are the same.
public final class SuiteCipher {
    private enum Engine {
        case aes(AuthenticatedCipher)
        case sm4(SM4Cipher)
    }

    /// Whose algorithms they are.
    public let suite: CipherSuite
    private let engine: Engine

    /// - Throws: `MissingAlgorithm` where libcrypto lacks what the suite needs; `OpenSSLError`.
    public init(_ suite: CipherSuite) throws {
        self.suite = suite
        engine = suite == .aes ? .aes(try AuthenticatedCipher()) : .sm4(try SM4Cipher())
    }

    // MARK: Sealing

    /// Encrypts `plaintext`, binds `context` to it, and appends the sealed message.
    ///
    /// - Throws: `OpenSSLError`.
    public func seal(_ plaintext: Span<UInt8>, key: CipherKey, context: Span<UInt8>, to sealed: inout [UInt8]) throws {
        try plaintext.withUnsafeBytes { try seal($0, key: key, context: context, to: &sealed) }
    }

    /// Encrypts a secret, such as another key, likewise.
    public func seal(_ secret: SecretBytes, key: CipherKey, context: Span<UInt8>, to sealed: inout [UInt8]) throws {
        try secret.withUnsafeBytes { try seal($0, key: key, context: context, to: &sealed) }
    }

    private func seal(
        _ plaintext: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        switch engine {
        case .aes(let cipher): try cipher.seal(plaintext, key: key, context: context, to: &sealed)
        case .sm4(let cipher): try cipher.seal(plaintext, key: key, context: context, to: &sealed)
        }
    }

    // MARK: Opening

    /// Decrypts what `seal` made.
    ///
    /// - Parameter plaintext: takes what was sealed, in place of what it holds; nothing where it does not open.
    /// - Throws: `OpenSSLError` where key, context or any byte is another.
    public func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        to plaintext: inout [UInt8]
    ) throws {
        plaintext.removeAll(keepingCapacity: true)
        let count = try contentBytes(sealed)
        // A spare byte: an empty plaintext needs a valid pointer too.
        plaintext.append(contentsOf: repeatElement(0, count: count + 1))
        do {
            try plaintext.withUnsafeMutableBytes { output in
                let output = UnsafeMutableRawBufferPointer(rebasing: output[..<count])
                try open(sealed, key: key, context: context, into: output)
            }
        } catch {
            // What was decrypted before the tag showed that it is not what was sealed.
            plaintext.removeAll(keepingCapacity: true)
            throw error
        }
        plaintext.removeLast()
    }

    /// Decrypts a secret.
    ///
    /// - Throws: `OpenSSLError` where key, context or any byte is another.
    public func openSecret(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>
    ) throws -> SecretBytes {
        try SecretBytes(count: contentBytes(sealed)) { try open(sealed, key: key, context: context, into: $0) }
    }

    /// Decrypts another key.
    ///
    /// - Throws: `OpenSSLError` where key, context or any byte is another, or it is no key.
    public func openKey(_ sealed: UnsafeRawBufferPointer, key: CipherKey, context: Span<UInt8>) throws -> CipherKey {
        guard sealed.count == suite.sealedKeyBytes else { throw OpenSSLError("opening: no key is so long") }
        return try CipherKey(openSecret(sealed, key: key, context: context))
    }

    private func contentBytes(_ sealed: UnsafeRawBufferPointer) throws(OpenSSLError) -> Int {
        guard sealed.count >= suite.overhead else { throw OpenSSLError("opening: too short") }
        return sealed.count - suite.overhead
    }

    /// - Parameter output: has room for what was sealed, and no more.
    private func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        into output: UnsafeMutableRawBufferPointer
    ) throws {
        switch engine {
        case .aes(let cipher): try cipher.open(sealed, key: key, context: context, into: output)
        case .sm4(let cipher): try cipher.open(sealed, key: key, context: context, into: output)
        }
    }
}

/// A key of either suite: of AES-256, or what the keys of SM4 and HMAC-SM3 are derived from.
public struct CipherKey: Sendable, Equatable {
    /// Bytes of a key.
    public static let count = 32
    private let bytes: SecretBytes

    /// The 32 bytes.
    public var secret: SecretBytes { bytes }

    /// - Throws: `OpenSSLError` where there are not exactly 32 bytes.
    public init(_ bytes: SecretBytes) throws {
        guard bytes.count == CipherKey.count else { throw OpenSSLError("reading a key of 32 bytes") }
        self.bytes = bytes
    }

    func withUnsafeBytes<Result>(_ body: (UnsafePointer<UInt8>?) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { try body($0.assumingMemoryBound(to: UInt8.self).baseAddress) }
    }
}
