import COpenSSL

/// An Ed25519 private key (RFC 8032). Signing is deterministic.
public final class Ed25519PrivateKey: @unchecked Sendable {
    // Sendable: the EVP_PKEY is never changed after init, and libcrypto allows concurrent use of an unchanging key.
    private let key: OpaquePointer
    /// The 32 bytes of the public key.
    public let publicKey: [UInt8]

    /// - Parameter seed: the 32-byte private key of RFC 8032.
    public init(seed: SecretBytes) throws {
        let key = seed.withUnsafeBytes { seed in
            let bytes = seed.assumingMemoryBound(to: UInt8.self).baseAddress
            return seed.count == 32 ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, bytes, seed.count) : nil
        }
        guard let key else {
            throw OpenSSLError("reading an Ed25519 private key")
        }
        self.key = key
        var bytes = [UInt8](repeating: 0, count: 32)
        var length = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1, length == 32 else {
            EVP_PKEY_free(key)
            throw OpenSSLError("deriving an Ed25519 public key")
        }
        publicKey = bytes
    }

    deinit { EVP_PKEY_free(key) }

    /// The 64-byte signature over `message`.
    public func sign(_ message: [UInt8]) throws -> [UInt8] {
        let context = required(EVP_MD_CTX_new(), "allocating a signing context")
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: 64)
        var length = signature.count
        guard EVP_DigestSignInit_ex(context, nil, nil, nil, nil, key, nil) == 1,
            EVP_DigestSign(context, &signature, &length, message, message.count) == 1, length == 64
        else { throw OpenSSLError("signing with Ed25519") }
        return signature
    }
}

/// An Ed25519 public key.
public final class Ed25519PublicKey: @unchecked Sendable {
    // Sendable: never changed after init, as above.
    private let key: OpaquePointer

    /// - Parameter bytes: the 32-byte public key of RFC 8032.
    public init(_ bytes: [UInt8]) throws {
        guard bytes.count == 32, let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count) else {
            throw OpenSSLError("reading an Ed25519 public key")
        }
        self.key = key
    }

    deinit { EVP_PKEY_free(key) }

    /// Whether `signature` over `message` is this key's.
    public func isValid(signature: [UInt8], over message: [UInt8]) -> Bool {
        let context = required(EVP_MD_CTX_new(), "allocating a verifying context")
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit_ex(context, nil, nil, nil, nil, key, nil) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
