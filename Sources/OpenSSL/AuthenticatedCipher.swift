import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per message.
///
/// A sealed message is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
public struct AuthenticatedCipher: Sendable {
    public static let keyBytes = 32
    public static let overhead = 28
    private let key: [UInt8]

    /// - Parameter key: 32 bytes.
    public init(key: [UInt8]) throws {
        guard key.count == AuthenticatedCipher.keyBytes else { throw OpenSSLError("reading an AES-256 key") }
        self.key = key
    }

    /// Encrypts `plaintext` and binds `context` to it.
    public func seal(_ plaintext: [UInt8], context: [UInt8]) throws -> [UInt8] {
        let cipher = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        defer { EVP_CIPHER_CTX_free(cipher) }
        let nonce = try SecureRandom.bytes(12)
        var sealed = nonce + plaintext + [UInt8](repeating: 0, count: 16)
        var length: Int32 = 0
        let worked = sealed.withUnsafeMutableBufferPointer { output in
            EVP_EncryptInit_ex2(cipher, Algorithm.aes256GCM, key, nonce, nil) == 1
                && EVP_EncryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1
                && EVP_EncryptUpdate(cipher, output.baseAddress! + 12, &length, plaintext, Int32(plaintext.count)) == 1
                && EVP_EncryptFinal_ex(cipher, output.baseAddress! + 12 + plaintext.count, &length) == 1
                && EVP_CIPHER_CTX_ctrl(
                    cipher,
                    EVP_CTRL_AEAD_GET_TAG,
                    16,
                    output.baseAddress! + 12 + plaintext.count
                ) == 1
        }
        guard worked else { throw OpenSSLError("sealing") }
        return sealed
    }

    /// Decrypts what `seal` made; throws where key, context or any byte is another.
    public func open(_ sealed: [UInt8], context: [UInt8]) throws -> [UInt8] {
        guard sealed.count >= AuthenticatedCipher.overhead else { throw OpenSSLError("opening: too short") }
        let cipher = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
        defer { EVP_CIPHER_CTX_free(cipher) }
        let count = sealed.count - AuthenticatedCipher.overhead
        var plaintext = [UInt8](repeating: 0, count: count + 1)
        var tag = Array(sealed.suffix(16))
        var length: Int32 = 0
        let worked = sealed.withUnsafeBufferPointer { input in
            EVP_DecryptInit_ex2(cipher, Algorithm.aes256GCM, key, input.baseAddress, nil) == 1
                && EVP_DecryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1
                && EVP_DecryptUpdate(cipher, &plaintext, &length, input.baseAddress! + 12, Int32(count)) == 1
                && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, 16, &tag) == 1
                && EVP_DecryptFinal_ex(cipher, &plaintext, &length) == 1
        }
        // The final call writes nothing for GCM, so the spare byte keeps an empty plaintext's pointer valid only.
        guard worked else { throw OpenSSLError("opening: the key, the context or a byte is another") }
        plaintext.removeLast()
        return plaintext
    }
}

/// Random bytes for keys, salts and nonces.
public enum SecureRandom {
    public static func bytes(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw OpenSSLError("drawing random bytes") }
        return bytes
    }
}
