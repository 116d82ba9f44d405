import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) under keys that change from message to message, with a random 96-bit nonce for each.
/// Not for use by two threads at once.
///
/// A sealed message is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
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
    /// Drawn in blocks: a call for each nonce costs more than the encryption.
    private let random: RandomSupply

    /// - Parameter random: the supply of the thread that uses the cipher.
    public init(random: RandomSupply = RandomSupply()) throws {
        encrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        decrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        self.random = random
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
        try wrapped.withUnsafeBytes { bytes in
            try seal(
                UnsafeBufferPointer(start: bytes, count: AuthenticatedCipher.keyBytes),
                key: key,
                context: context,
                to: &sealed
            )
        }
    }

    private func seal(
        _ plaintext: UnsafeBufferPointer<UInt8>,
        key: CipherKey,
        context: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        let start = sealed.count
        try random.append(AuthenticatedCipher.nonceBytes, to: &sealed)
        sealed.append(contentsOf: repeatElement(0, count: plaintext.count + AuthenticatedCipher.tagBytes))
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
        let isSameKey = key == decryptingKey
        decryptingKey = key
        var length: Int32 = 0
        let worked = plaintext.withUnsafeMutableBufferPointer { output in
            context.withUnsafeBufferPointer { context in
                key.withUnsafeBytes { key in
                    guard let nonce = sealed.assumingMemoryBound(to: UInt8.self).baseAddress else { return false }
                    let text = nonce + AuthenticatedCipher.nonceBytes
                    return EVP_DecryptInit_ex2(decrypting, nil, isSameKey ? nil : key, nonce, nil) == 1
                        && EVP_DecryptUpdate(decrypting, nil, &length, context.baseAddress, Int32(context.count)) == 1
                        && EVP_DecryptUpdate(decrypting, output.baseAddress, &length, text, Int32(count)) == 1
                        && EVP_CIPHER_CTX_ctrl(
                            decrypting,
                            EVP_CTRL_AEAD_SET_TAG,
                            Int32(AuthenticatedCipher.tagBytes),
                            UnsafeMutablePointer(mutating: text + count)
                        ) == 1
                        && EVP_DecryptFinal_ex(decrypting, output.baseAddress, &length) == 1
                }
            }
        }
        guard worked else {
            decryptingKey = nil
            // What was decrypted before the tag showed that it is not what was sealed.
            plaintext.removeAll(keepingCapacity: true)
            throw OpenSSLError("opening: the key, the context or a byte is another")
        }
        plaintext.removeLast()
    }
}

/// The 32 bytes of an AES-256 key, held without memory of their own.
public struct CipherKey: Sendable, Equatable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// - Throws: `OpenSSLError` where there are not exactly 32 bytes.
    public init(_ bytes: [UInt8]) throws {
        guard bytes.count == AuthenticatedCipher.keyBytes else { throw OpenSSLError("reading an AES-256 key") }
        Swift.withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    func withUnsafeBytes<Result>(_ body: (UnsafePointer<UInt8>?) throws -> Result) rethrows -> Result {
        try Swift.withUnsafeBytes(of: words) { try body($0.assumingMemoryBound(to: UInt8.self).baseAddress) }
    }

    public static func == (left: CipherKey, right: CipherKey) -> Bool { left.words == right.words }
}
