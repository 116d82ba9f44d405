import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per message. Not for use by two threads at once.
///
/// A sealed message is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
public struct AuthenticatedCipher {
    public static let keyBytes = 32
    public static let overhead = 28
    private static let nonceBytes = 12
    private static let tagBytes = 16
    private let key: [UInt8]
    private let state: CipherState

    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - state: what ciphers of one thread may share, so that a key costs no allocation of its own.
    public init(key: [UInt8], sharing state: CipherState = CipherState()) throws {
        guard key.count == AuthenticatedCipher.keyBytes else { throw OpenSSLError("reading an AES-256 key") }
        self.key = key
        self.state = state
    }

    /// Encrypts `plaintext` and binds `context` to it.
    public func seal(_ plaintext: [UInt8], context: [UInt8]) throws -> [UInt8] {
        let nonce = try state.random.bytes(AuthenticatedCipher.nonceBytes)
        let count = plaintext.count
        var length: Int32 = 0
        var worked = false
        let sealed = [UInt8](unsafeUninitializedCapacity: count + AuthenticatedCipher.overhead) { output, written in
            guard let start = output.baseAddress else { return }
            start.update(from: nonce, count: nonce.count)
            let text = start + nonce.count
            worked =
                EVP_EncryptInit_ex2(state.encrypting, Algorithm.aes256GCM, key, nonce, nil) == 1
                && EVP_EncryptUpdate(state.encrypting, nil, &length, context, Int32(context.count)) == 1
                && EVP_EncryptUpdate(state.encrypting, text, &length, plaintext, Int32(count)) == 1
                && EVP_EncryptFinal_ex(state.encrypting, text + count, &length) == 1
                && EVP_CIPHER_CTX_ctrl(
                    state.encrypting,
                    EVP_CTRL_AEAD_GET_TAG,
                    Int32(AuthenticatedCipher.tagBytes),
                    text + count
                ) == 1
            written = worked ? count + AuthenticatedCipher.overhead : 0
        }
        guard worked else { throw OpenSSLError("sealing") }
        return sealed
    }

    /// Decrypts what `seal` made; throws where key, context or any byte is another.
    public func open(_ sealed: [UInt8], context: [UInt8]) throws -> [UInt8] {
        guard sealed.count >= AuthenticatedCipher.overhead else { throw OpenSSLError("opening: too short") }
        let count = sealed.count - AuthenticatedCipher.overhead
        // A spare byte: an empty plaintext needs a valid pointer too.
        var plaintext = [UInt8](repeating: 0, count: count + 1)
        var tag = Array(sealed.suffix(AuthenticatedCipher.tagBytes))
        var length: Int32 = 0
        let worked = sealed.withUnsafeBufferPointer { input in
            guard let start = input.baseAddress else { return false }
            return EVP_DecryptInit_ex2(state.decrypting, Algorithm.aes256GCM, key, start, nil) == 1
                && EVP_DecryptUpdate(state.decrypting, nil, &length, context, Int32(context.count)) == 1
                && EVP_DecryptUpdate(
                    state.decrypting,
                    &plaintext,
                    &length,
                    start + AuthenticatedCipher.nonceBytes,
                    Int32(count)
                ) == 1
                && EVP_CIPHER_CTX_ctrl(state.decrypting, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1
                && EVP_DecryptFinal_ex(state.decrypting, &plaintext, &length) == 1
        }
        guard worked else { throw OpenSSLError("opening: the key, the context or a byte is another") }
        plaintext.removeLast()
        return plaintext
    }
}

/// The libcrypto contexts and the random bytes that ciphers of one thread share.
public final class CipherState {
    let encrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
    let decrypting = required(EVP_CIPHER_CTX_new(), "allocating a cipher context")
    /// Drawn in blocks: a call for each nonce costs more than the encryption.
    public let random = RandomSupply()

    public init() {}

    deinit {
        EVP_CIPHER_CTX_free(encrypting)
        EVP_CIPHER_CTX_free(decrypting)
    }
}

/// Random bytes drawn from libcrypto in blocks. Not for use by two threads at once.
public final class RandomSupply {
    private static let blockBytes = 4_096
    private var block: [UInt8] = []
    private var used = 0

    /// The next bytes; none is ever handed out twice, nor kept.
    public func bytes(_ count: Int) throws -> [UInt8] {
        if count > RandomSupply.blockBytes { return try SecureRandom.bytes(count) }
        if block.count - used < count {
            block = try SecureRandom.bytes(RandomSupply.blockBytes)
            used = 0
        }
        let bytes = Array(block[used..<used + count])
        for position in used..<used + count { block[position] = 0 }
        used += count
        return bytes
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
