import COpenSSL

/// AES-256-GCM (NIST SP 800-38D), the cipher of the suite `aes`. Not for use by two threads at once.
///
/// A sealed message is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes). The nonce is the beginning of an HMAC over all that
/// is sealed, as the synthetic IV of RFC 5297 is: one nonce for two messages under a key, which would give away both and
/// the key of the tag, would take a collision, whatever becomes of the random numbers, such as in a virtual machine
/// that goes on twice from one snapshot.
final class AuthenticatedCipher {
    /// Bytes a sealed message has more than what was sealed.
    static let overhead = 28
    private static let nonceBytes = 12
    private static let tagBytes = 16
    // Contexts of their own for both directions, told the algorithm once: naming it again costs an allocation.
    private let encrypting: OpaquePointer
    private let decrypting: OpaquePointer
    /// The keys the contexts have; setting one up costs as much as a short message.
    private var encryptingKey: CipherKey?
    private var decryptingKey: CipherKey?
    private let nonces = NonceHash()

    /// A cipher without a key yet; each message states its own.
    init() throws {
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
    func seal(
        _ plaintext: UnsafeRawBufferPointer,
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
                            plaintext.assumingMemoryBound(to: UInt8.self).baseAddress,
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

    /// Decrypts what `seal` made.
    ///
    /// - Parameter output: has room for what was sealed: `overhead` bytes fewer. What it holds is worth nothing where this
    ///   throws.
    /// - Throws: `OpenSSLError` where key, context or any byte is another.
    func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context: Span<UInt8>,
        into output: UnsafeMutableRawBufferPointer
    ) throws {
        guard sealed.count >= AuthenticatedCipher.overhead,
            output.count == sealed.count - AuthenticatedCipher.overhead
        else { throw OpenSSLError("opening: of another length") }
        let output = output.assumingMemoryBound(to: UInt8.self).baseAddress
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
        of plaintext: UnsafeRawBufferPointer,
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
                        isSameKey ? 0 : CipherKey.count,
                        nil
                    ) == 1
                        && EVP_MAC_update(context, NonceHash.label, NonceHash.label.count) == 1
                        && EVP_MAC_update(context, authenticated.baseAddress, authenticated.count) == 1
                        && EVP_MAC_update(context, lineFeed, 1) == 1
                        && EVP_MAC_update(
                            context,
                            plaintext.assumingMemoryBound(to: UInt8.self).baseAddress,
                            plaintext.count
                        ) == 1
                        && EVP_MAC_final(context, digest.baseAddress, &length, digest.count) == 1 && length == 32
                }
            }
        }
        guard worked else { fatalError(OpenSSLError("HMAC").description) }
    }
}
