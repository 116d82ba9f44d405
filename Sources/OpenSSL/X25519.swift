import COpenSSL

/// An X25519 private key (RFC 7748).
public final class X25519PrivateKey: @unchecked Sendable {
    // Sendable: the EVP_PKEY is never changed after init, and libcrypto allows concurrent use of an unchanging key.
    private let key: OpaquePointer
    /// The 32 bytes of the public key: the u-coordinate, little-endian.
    public let publicKey: [UInt8]

    /// - Parameter scalar: 32 bytes, which are clamped as section 5 says.
    /// - Throws: `MissingAlgorithm` where libcrypto has no X25519; `OpenSSLError` where there are not exactly 32 bytes.
    public init(scalar: SecretBytes) throws {
        guard Algorithm.x25519 != nil else { throw MissingAlgorithm.x25519 }
        let key = scalar.withUnsafeBytes { scalar in
            let bytes = scalar.assumingMemoryBound(to: UInt8.self).baseAddress
            return scalar.count == 32 ? EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nil, bytes, scalar.count) : nil
        }
        guard let key else { throw OpenSSLError("reading an X25519 private key") }
        self.key = key
        var bytes = [UInt8](repeating: 0, count: 32)
        var length = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1, length == 32 else {
            EVP_PKEY_free(key)
            throw OpenSSLError("deriving an X25519 public key")
        }
        publicKey = bytes
    }

    deinit { EVP_PKEY_free(key) }

    /// What this key and another's public key have in common (section 6.1): 32 bytes, to derive keys from.
    ///
    /// - Parameter publicKey: 32 bytes.
    /// - Throws: `OpenSSLError` where the public key is of another length, or of low order: then all bytes were zero,
    ///   whatever the private key.
    public func sharedSecret(with publicKey: [UInt8]) throws -> SecretBytes {
        let other = publicKey.count == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, publicKey, 32) : nil
        guard let other else { throw OpenSSLError("reading an X25519 public key") }
        defer { EVP_PKEY_free(other) }
        let context = required(EVP_PKEY_CTX_new_from_pkey(nil, key, nil), "allocating a key exchange context")
        defer { EVP_PKEY_CTX_free(context) }
        let secret = try SecretBytes(count: 32) { output in
            var length = output.count
            guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, other) == 1,
                EVP_PKEY_derive(context, output.assumingMemoryBound(to: UInt8.self).baseAddress, &length) == 1,
                length == output.count
            else { throw OpenSSLError("deriving a shared secret") }
        }
        // libcrypto refuses that, too, but doesn't promise it.
        guard secret != SecretBytes(count: 32, writing: { _ in }) else {
            throw OpenSSLError("deriving a shared secret: the public key is of low order")
        }
        return secret
    }
}
