import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) under keys that change from message to message. Not for use by two threads at once.
///
/// A sealed message is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes). The nonce is the beginning of an HMAC over all that
/// is sealed, as the synthetic IV of RFC 5297 is: one nonce for two messages under a key, which would give away both and
/// the key of the tag, would take a collision, whatever becomes of the random numbers, such as in a virtual machine
/// that goes on twice from one snapshot.
public final class AuthenticatedCipher {
    public static let keyBytes = 32
    public static let overhead = 28
    private static let nonceBytes = 12
    private static let tagBytes = 16
    // Contexts of their own for both directions, told the algorithm once: naming it again costs an allocation.
    private let encrypting: OpaquePointer
    private let decrypting: OpaquePointer
    /// The keys the contexts have; setting one up costs as much as a short message.
    private var encryptingKey: CipherKey?
    private var decryptingKey: CipherKey?
    private let nonces = NonceHash()

    public init() throws {
        encrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        decrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        guard EVP_EncryptInit_ex2(encrypting, Algorithm.aes256GCM, nil, nil, nil) == 1,
            EVP_DecryptInit_ex2(decrypting, Algorithm.aes256GCM, nil, nil, nil) == 1
        else { throw OpenSSLError("setting a cipher up") }
    }

    deinit {
        EVP_CIPHER_CTX_free(encrypting)
        EVP_CIPHER_CTX_free(decrypting)
    }

    /// Encrypts `plaintext`, binds `context` to it, and appends the sealed message.
    public func seal(
        _ plaintext: Span<UInt8>,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        try plaintext.withUnsafeBufferPointer { try seal($0, key: key, context: context, to: &sealed) }
    }

    /// Encrypts another key.
    public func seal(
        _ wrapped: CipherKey,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        try seal(wrapped.secret, key: key, context: context, to: &sealed)
    }

    /// Encrypts a secret.
    public func seal(
        _ secret: SecretBytes,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        try secret.withUnsafeBytes {
            try seal($0.assumingMemoryBound(to: UInt8.self), key: key, context: context, to: &sealed)
        }
    }

    private func seal(
        _ plaintext: UnsafeBufferPointer<UInt8>,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        let start = sealed.count
        sealed.append(contentsOf: repeatElement(0, count: plaintext.count + AuthenticatedCipher.overhead))
        sealed.withUnsafeMutableBytes { sealed in
            let nonce = UnsafeMutableRawBufferPointer(rebasing: sealed[start..<start + AuthenticatedCipher.nonceBytes])
            nonces.write(of: plaintext, key: key, context: context, to: nonce)
        }
        let isSameKey = key == encryptingKey
        encryptingKey = key
        var length: Int32 = 0
        let worked = sealed.withUnsafeMutableBufferPointer { output in
            context.withUnsafeBufferPointer { context in
                key.withUnsafeBytes { key in
                    guard let nonce = output.baseAddress.map({ $0 + start }) else { return false }
                    let text = nonce + AuthenticatedCipher.nonceBytes
                    return EVP_EncryptInit_ex2(encrypting, nil, isSameKey ? nil : key, nonce, nil) == 1
                        && EVP_EncryptUpdate(encrypting, nil, &length, context.baseAddress, Int32(context.count)) == 1
                        && EVP_EncryptUpdate(
                            encrypting,
                            text,
                            &length,
                            plaintext.baseAddress,
                            Int32(plaintext.count)
                        ) == 1
                        && EVP_EncryptFinal_ex(encrypting, text + plaintext.count, &length) == 1
                        && EVP_CIPHER_CTX_ctrl(
                            encrypting,
                            EVP_CTRL_AEAD_GET_TAG,
                            Int32(AuthenticatedCipher.tagBytes),
                            text + plaintext.count
                        ) == 1
                }
            }
        }
        guard worked else {
            encryptingKey = nil
            throw OpenSSLError("sealing")
        }
    }

    /// Decrypts what `seal` made; throws where key, context or any byte is another.
    ///
    /// - Parameter plaintext: takes what was sealed, in place of what it holds.
    public func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        to plaintext: inout [UInt8]
    ) throws {
        guard sealed.count >= AuthenticatedCipher.overhead else { throw OpenSSLError("opening: too short") }
        let count = sealed.count - AuthenticatedCipher.overhead
        plaintext.removeAll(keepingCapacity: true)
        // A spare byte: an empty plaintext needs a valid pointer too.
        plaintext.append(contentsOf: repeatElement(0, count: count + 1))
        do {
            try plaintext.withUnsafeMutableBufferPointer { output in
                try open(sealed, key: key, context: context, into: output.baseAddress)
            }
        } catch {
            // What was decrypted before the tag showed that it is not what was sealed.
            plaintext.removeAll(keepingCapacity: true)
            throw error
        }
        plaintext.removeLast()
    }

    /// Decrypts another key.
    public func openKey(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>
    ) throws -> CipherKey {
        guard sealed.count == AuthenticatedCipher.keyBytes + AuthenticatedCipher.overhead else {
            throw OpenSSLError("opening: no key is so long")
        }
        return try CipherKey(openSecret(sealed, key: key, context: context))
    }

    /// Decrypts a secret.
    ///
    /// - Throws: `OpenSSLError` where key, context or any byte is another.
    public func openSecret(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>
    ) throws -> SecretBytes {
        guard sealed.count > AuthenticatedCipher.overhead else { throw OpenSSLError("opening: too short") }
        return try SecretBytes(count: sealed.count - AuthenticatedCipher.overhead) { opened in
            let output = opened.assumingMemoryBound(to: UInt8.self).baseAddress
            try open(sealed, key: key, context: context, into: output)
        }
    }

    /// - Parameter output: has room for what was sealed.
    private func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        into output: UnsafeMutablePointer<UInt8>?
    ) throws {
        let count = sealed.count - AuthenticatedCipher.overhead
        let isSameKey = key == decryptingKey
        decryptingKey = key
        var length: Int32 = 0
        let worked = context.withUnsafeBufferPointer { context in
            key.withUnsafeBytes { key in
                guard let nonce = sealed.assumingMemoryBound(to: UInt8.self).baseAddress else { return false }
                let text = nonce + AuthenticatedCipher.nonceBytes
                return EVP_DecryptInit_ex2(decrypting, nil, isSameKey ? nil : key, nonce, nil) == 1
                    && EVP_DecryptUpdate(decrypting, nil, &length, context.baseAddress, Int32(context.count)) == 1
                    && EVP_DecryptUpdate(decrypting, output, &length, text, Int32(count)) == 1
                    && EVP_CIPHER_CTX_ctrl(
                        decrypting,
                        EVP_CTRL_AEAD_SET_TAG,
                        Int32(AuthenticatedCipher.tagBytes),
                        UnsafeMutablePointer(mutating: text + count)
                    ) == 1
                    && EVP_DecryptFinal_ex(decrypting, output, &length) == 1
            }
        }
        guard worked else {
            decryptingKey = nil
            throw OpenSSLError("opening: the key, the context or a byte is another")
        }
    }
}

/// An AES-256 key.
public struct CipherKey: Sendable, Equatable {
    private let bytes: SecretBytes

    /// The 32 bytes.
    public var secret: SecretBytes { bytes }

    /// - Throws: `OpenSSLError` where there are not exactly 32 bytes.
    public init(_ bytes: SecretBytes) throws {
        guard bytes.count == AuthenticatedCipher.keyBytes else { throw OpenSSLError("reading an AES-256 key") }
        self.bytes = bytes
    }

    func withUnsafeBytes<Result>(_ body: (UnsafePointer<UInt8>?) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { try body($0.assumingMemoryBound(to: UInt8.self).baseAddress) }
    }
}

/// HMAC-SHA-256 over what is sealed, of which a nonce is the beginning (`ledger-format.md` section 10).
private final class NonceHash {
    private static let label = Array("evidenced/nonce/v1\n".utf8)
    private let context: OpaquePointer
    /// The key the context has.
    private var key: CipherKey?

    init() { context = Algorithm.keyedHash("SHA256") }

    deinit { EVP_MAC_CTX_free(context) }

    /// - Parameter nonce: takes its first bytes.
    func write(
        of plaintext: UnsafeBufferPointer<UInt8>,
        key: CipherKey,
        context authenticated: Span<UInt8>,
        to nonce: UnsafeMutableRawBufferPointer
    ) {
        let isSameKey = key == self.key
        self.key = key
        let lineFeed: [UInt8] = [0x0A]
        let worked = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digest in
            defer {
                nonce.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digest)[..<nonce.count]))
            }
            return key.withUnsafeBytes { key in
                authenticated.withUnsafeBufferPointer { authenticated in
                    var length = 0
                    return EVP_MAC_init(
                        context,
                        isSameKey ? nil : key,
                        isSameKey ? 0 : AuthenticatedCipher.keyBytes,
                        nil
                    ) == 1
                        && EVP_MAC_update(context, NonceHash.label, NonceHash.label.count) == 1
                        && EVP_MAC_update(context, authenticated.baseAddress, authenticated.count) == 1
                        && EVP_MAC_update(context, lineFeed, 1) == 1
                        && EVP_MAC_update(context, plaintext.baseAddress, plaintext.count) == 1
                        && EVP_MAC_final(context, digest.baseAddress, &length, digest.count) == 1 && length == 32
                }
            }
        }
        guard worked else { fatalError(OpenSSLError("HMAC").description) }
    }
}
