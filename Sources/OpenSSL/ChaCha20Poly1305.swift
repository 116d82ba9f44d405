import COpenSSL

/// ChaCha20-Poly1305 (RFC 8439) under one key, whose nonces the caller vouches for: two messages with the same one give
/// both away. Not for use by two threads at once.
///
/// A sealed message is ciphertext ‖ tag (16 bytes).
public final class ChaCha20Poly1305 {
    /// Bytes of a key.
    public static let keyBytes = 32
    /// Bytes a sealed message has more than what was sealed.
    public static let tagBytes = 16
    /// The 96 bits of the RFC.
    public typealias Nonce = InlineArray<12, UInt8>

    // It has the key, too, and is told it once. What it has is wiped when it is freed.
    private let context: OpaquePointer

    /// - Parameter key: 32 bytes.
    /// - Throws: `MissingAlgorithm` where libcrypto has no such cipher; `OpenSSLError` where the key is of another length.
    public init(key: SecretBytes) throws {
        guard let cipher = Algorithm.chaCha20Poly1305 else { throw MissingAlgorithm.chaCha20Poly1305 }
        guard key.count == ChaCha20Poly1305.keyBytes else { throw OpenSSLError("reading a ChaCha20-Poly1305 key") }
        context = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        let isSet = key.withUnsafeBytes {
            EVP_CipherInit_ex2(context, cipher, $0.assumingMemoryBound(to: UInt8.self).baseAddress, nil, 1, nil)
        }
        guard isSet == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw OpenSSLError("setting a cipher up")
        }
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Encrypts `plaintext`, at most 2 GiB, binds `authenticated` to it, and appends the sealed message.
    public func seal(
        _ plaintext: UnsafeRawBufferPointer,
        nonce: Nonce,
        context authenticated: Span<UInt8> = Span(),
        to sealed: inout [UInt8]
    ) throws {
        let count = plaintext.count + ChaCha20Poly1305.tagBytes
        try sealed.append(addingCapacity: count) { output in
            try output.withUnsafeMutableBufferPointer { output, written in
                guard let text = output.baseAddress, begin(isSealing: true, nonce, authenticated),
                    update(plaintext, into: text)
                else { throw OpenSSLError("sealing") }
                let tag = text + plaintext.count
                var length: Int32 = 0
                guard EVP_EncryptFinal_ex(context, tag, &length) == 1,
                    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(ChaCha20Poly1305.tagBytes), tag) == 1
                else { throw OpenSSLError("sealing") }
                written = count
            }
        }
    }

    /// Decrypts what `seal` made, and appends it.
    ///
    /// - Returns: whether it was sealed under this key, with this nonce and this context. Nothing was appended where not.
    /// - Throws: `OpenSSLError` where libcrypto fails.
    public func open(
        _ sealed: UnsafeRawBufferPointer,
        nonce: Nonce,
        context authenticated: Span<UInt8> = Span(),
        to plaintext: inout [UInt8]
    ) throws -> Bool {
        let count = sealed.count - ChaCha20Poly1305.tagBytes
        guard count >= 0 else { return false }
        var isOpened = false
        try plaintext.append(addingCapacity: count) { output in
            try output.withUnsafeMutableBufferPointer { output, written in
                let output = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(output)[..<count])
                isOpened = try open(sealed, nonce: nonce, context: authenticated, into: output)
                written = isOpened ? count : 0
            }
        }
        return isOpened
    }

    /// The same into a buffer of exactly the length of what was sealed, such as a secret's.
    ///
    /// - Returns: as above. The buffer is all zeros where it was not.
    public func open(
        _ sealed: UnsafeRawBufferPointer,
        nonce: Nonce,
        context authenticated: Span<UInt8> = Span(),
        into plaintext: UnsafeMutableRawBufferPointer
    ) throws -> Bool {
        let count = sealed.count - ChaCha20Poly1305.tagBytes
        guard count == plaintext.count, let start = sealed.baseAddress else { return false }
        var isOpened = false
        // What was decrypted before the tag showed that it is not what was sealed.
        defer { if !isOpened { OPENSSL_cleanse(plaintext.baseAddress, plaintext.count) } }
        var (length, nothing): (Int32, UInt8) = (0, 0)
        guard begin(isSealing: false, nonce, authenticated),
            update(
                UnsafeRawBufferPointer(rebasing: sealed[..<count]),
                into: plaintext.assumingMemoryBound(to: UInt8.self).baseAddress
            ),
            EVP_CIPHER_CTX_ctrl(
                context,
                EVP_CTRL_AEAD_SET_TAG,
                Int32(ChaCha20Poly1305.tagBytes),
                UnsafeMutableRawPointer(mutating: start + count)
            ) == 1
        else { throw OpenSSLError("opening") }
        isOpened = EVP_DecryptFinal_ex(context, &nothing, &length) == 1
        if !isOpened { ERR_clear_error() }
        return isOpened
    }

    private func begin(isSealing: Bool, _ nonce: Nonce, _ authenticated: Span<UInt8>) -> Bool {
        let isBegun = nonce.span.withUnsafeBufferPointer {
            EVP_CipherInit_ex2(context, nil, nil, $0.baseAddress, isSealing ? 1 : 0, nil) == 1
        }
        guard isBegun, !authenticated.isEmpty else { return isBegun }
        var length: Int32 = 0
        return authenticated.withUnsafeBufferPointer {
            EVP_CipherUpdate(context, nil, &length, $0.baseAddress, Int32($0.count)) == 1
        }
    }

    /// Without an output libcrypto would take a text for the context.
    private func update(_ text: UnsafeRawBufferPointer, into output: UnsafeMutablePointer<UInt8>?) -> Bool {
        guard !text.isEmpty else { return true }
        guard let output else { return false }
        var length: Int32 = 0
        let start = text.assumingMemoryBound(to: UInt8.self).baseAddress
        return EVP_CipherUpdate(context, output, &length, start, Int32(text.count)) == 1 && Int(length) == text.count
    }
}
