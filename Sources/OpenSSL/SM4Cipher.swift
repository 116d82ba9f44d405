import COpenSSL

/// SM4 in counter mode (GB/T 32907-2016) with HMAC-SM3 (GB/T 32905-2016), encrypt then MAC: the cipher of the suite `sm4`.
/// Not for use by two threads at once.
///
/// A sealed message is initial counter (16 bytes) ‖ ciphertext ‖ MAC (32 bytes). OpenSSL 3.0 has no SM4-GCM. Two keys are
/// derived from the one given, with HKDF-SM3 (RFC 5869): 16 bytes encrypt, 32 bytes authenticate. The counter is the
/// beginning of a MAC over all that is sealed, as the nonce of `AuthenticatedCipher` is, and for the same reason: it never
/// depends on fresh random numbers whether two messages have the same one.
final class SM4Cipher {
    /// Bytes a sealed message has more than what was sealed: initial counter and MAC.
    static let overhead = 48
    private static let counterBytes = 16
    private static let macBytes = 32
    private static let info = Array("evidenced/sm4-ctr-hmac-sm3/v1".utf8)
    private static let counterLabel = Array("evidenced/sm4/counter/v1\n".utf8)
    private static let macLabel = Array("evidenced/sm4/mac/v1\n".utf8)
    // Told the algorithm once: naming it again costs an allocation.
    private let context: OpaquePointer
    private let mac: OpaquePointer
    /// The key the contexts have, and what was derived from it.
    private var current: (key: CipherKey, derived: SecretBytes)?

    /// A cipher without a key yet; each message states its own.
    ///
    /// - Throws: `MissingAlgorithm` where libcrypto has no SM4, or no SM3; `OpenSSLError`.
    init() throws {
        try CipherSuite.sm4.requireAlgorithms()
        context = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        mac = Algorithm.keyedHash("SM3")
        guard EVP_EncryptInit_ex2(context, Algorithm.sm4CTR, nil, nil, nil) == 1 else {
            throw OpenSSLError("setting a cipher up")
        }
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
        EVP_MAC_CTX_free(mac)
    }

    /// Encrypts `plaintext`, binds `authenticated` to it, and appends the sealed message.
    func seal(
        _ plaintext: UnsafeRawBufferPointer,
        key: CipherKey,
        context authenticated: Span<UInt8>,
        to sealed: inout [UInt8]
    ) throws {
        let derived = try self.derived(key)
        let start = sealed.count
        sealed.append(contentsOf: repeatElement(0, count: plaintext.count + SM4Cipher.overhead))
        try sealed.withUnsafeMutableBytes { sealed in
            let message = UnsafeMutableRawBufferPointer(rebasing: sealed[start...])
            let text = UnsafeMutableRawBufferPointer(
                rebasing: message[SM4Cipher.counterBytes..<SM4Cipher.counterBytes + plaintext.count]
            )
            withUnsafeTemporaryAllocation(byteCount: SM4Cipher.macBytes, alignment: 1) { digest in
                authenticate(SM4Cipher.counterLabel, authenticated, plaintext, derived, into: digest)
                message.copyMemory(from: UnsafeRawBufferPointer(rebasing: digest[..<SM4Cipher.counterBytes]))
            }
            try crypt(plaintext, counter: UnsafeRawBufferPointer(message), derived, into: text)
            let end = message.count - SM4Cipher.macBytes
            let authenticatedPart = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(message)[..<end])
            authenticate(
                SM4Cipher.macLabel,
                authenticated,
                authenticatedPart,
                derived,
                into: UnsafeMutableRawBufferPointer(rebasing: message[end...])
            )
        }
    }

    /// Decrypts what `seal` made.
    ///
    /// - Parameter plaintext: has room for what was sealed: `SM4Cipher.overhead` bytes fewer.
    /// - Throws: `OpenSSLError` where key, context or any byte is another; nothing was decrypted then.
    func open(
        _ sealed: UnsafeRawBufferPointer,
        key: CipherKey,
        context authenticated: Span<UInt8>,
        into plaintext: UnsafeMutableRawBufferPointer
    ) throws {
        guard sealed.count >= SM4Cipher.overhead, plaintext.count == sealed.count - SM4Cipher.overhead else {
            throw OpenSSLError("opening: of another length")
        }
        let derived = try self.derived(key)
        let end = sealed.count - SM4Cipher.macBytes
        let isSame = withUnsafeTemporaryAllocation(byteCount: SM4Cipher.macBytes, alignment: 1) { digest in
            let part = UnsafeRawBufferPointer(rebasing: sealed[..<end])
            authenticate(SM4Cipher.macLabel, authenticated, part, derived, into: digest)
            return CRYPTO_memcmp(digest.baseAddress, sealed.baseAddress.map { $0 + end }, SM4Cipher.macBytes) == 0
        }
        guard isSame else { throw OpenSSLError("opening: the key, the context or a byte is another") }
        let text = UnsafeRawBufferPointer(rebasing: sealed[SM4Cipher.counterBytes..<end])
        try crypt(text, counter: sealed, derived, into: plaintext)
    }

    private func crypt(
        _ input: UnsafeRawBufferPointer,
        counter: UnsafeRawBufferPointer,
        _ derived: SecretBytes,
        into output: UnsafeMutableRawBufferPointer
    ) throws {
        let worked = derived.withUnsafeBytes { keys in
            var length: Int32 = 0
            return EVP_EncryptInit_ex2(
                context,
                nil,
                keys.assumingMemoryBound(to: UInt8.self).baseAddress,
                counter.assumingMemoryBound(to: UInt8.self).baseAddress,
                nil
            ) == 1
                && (input.isEmpty
                    || EVP_EncryptUpdate(
                        context,
                        output.assumingMemoryBound(to: UInt8.self).baseAddress,
                        &length,
                        input.assumingMemoryBound(to: UInt8.self).baseAddress,
                        Int32(input.count)
                    ) == 1 && Int(length) == input.count)
        }
        guard worked else { throw OpenSSLError("SM4 in counter mode") }
    }

    /// HMAC-SM3 of label ‖ length of the context (u64, big-endian) ‖ context ‖ bytes.
    private func authenticate(
        _ label: [UInt8],
        _ authenticated: Span<UInt8>,
        _ bytes: UnsafeRawBufferPointer,
        _ derived: SecretBytes,
        into digest: UnsafeMutableRawBufferPointer
    ) {
        var length = 0
        let count = UInt64(authenticated.count).bigEndian
        let worked = derived.withUnsafeBytes { keys in
            EVP_MAC_init(
                mac,
                keys.assumingMemoryBound(to: UInt8.self).baseAddress.map { $0 + 16 },
                SM4Cipher.macBytes,
                nil
            ) == 1
                && EVP_MAC_update(mac, label, label.count) == 1
                && withUnsafeBytes(of: count) { update($0) }
                && authenticated.withUnsafeBytes { update($0) }
                && update(bytes)
                && EVP_MAC_final(
                    mac,
                    digest.assumingMemoryBound(to: UInt8.self).baseAddress,
                    &length,
                    digest.count
                ) == 1 && length == SM4Cipher.macBytes
        }
        guard worked else { fatalError(OpenSSLError("HMAC-SM3").description) }
    }

    private func update(_ bytes: UnsafeRawBufferPointer) -> Bool {
        EVP_MAC_update(mac, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count) == 1
    }

    private func derived(_ key: CipherKey) throws -> SecretBytes {
        if let current, current.key == key { return current.derived }
        let derived = try KeyDerivation.hkdf("SM3", key: key.secret, info: SM4Cipher.info, count: 48)
        current = (key, derived)
        return derived
    }
}
