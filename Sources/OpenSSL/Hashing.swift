import COpenSSL
public import Merkle
import Synchronization

/// The digest algorithms, fetched once per process: an implicit fetch per call costs more than the hashing.
enum Algorithm {
    // Immutable after the fetch and reference-counted by libcrypto, so sharing it between threads is what it is for.
    nonisolated(unsafe) static let sha256 = required(EVP_MD_fetch(nil, "SHA256", nil), "fetching SHA256")
    /// nil where libcrypto has none, as one whose only provider is that of FIPS 140 or one built without it.
    nonisolated(unsafe) static let sm3: OpaquePointer? = {
        let sm3 = EVP_MD_fetch(nil, "SM3", nil)
        ERR_clear_error()
        return sm3
    }()
    nonisolated(unsafe) static let hmac = required(EVP_MAC_fetch(nil, "HMAC", nil), "fetching HMAC")
    nonisolated(unsafe) static let aes256GCM = required(
        EVP_CIPHER_fetch(nil, "AES-256-GCM", nil),
        "fetching AES-256-GCM"
    )

    /// nil where libcrypto has none, as it may have no SM3.
    nonisolated(unsafe) static let sm4CTR: OpaquePointer? = {
        let cipher = EVP_CIPHER_fetch(nil, "SM4-CTR", nil)
        ERR_clear_error()
        return cipher
    }()

    /// nil where libcrypto has none, as one whose only provider is that of FIPS 140.
    nonisolated(unsafe) static let chaCha20Poly1305: OpaquePointer? = {
        let cipher = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)
        ERR_clear_error()
        return cipher
    }()

    /// nil where libcrypto has none. Keys name their algorithm by themselves; this is to know beforehand.
    nonisolated(unsafe) static let x25519: OpaquePointer? = {
        let exchange = EVP_KEYEXCH_fetch(nil, "X25519", nil)
        ERR_clear_error()
        return exchange
    }()

    nonisolated(unsafe) static let hkdf = required(EVP_KDF_fetch(nil, "HKDF", nil), "fetching HKDF")

    /// A context for HMAC with a digest, not keyed yet.
    static func keyedHash(_ digest: StaticString) -> OpaquePointer {
        let context = required(EVP_MAC_CTX_new(hmac), "allocating a MAC context")
        var name = Array(digest.description.utf8CString)
        // A parameter points to its own name and to its value: both must live until the context has read them.
        let isSet = OSSL_MAC_PARAM_DIGEST.withCString { parameter in
            name.withUnsafeMutableBufferPointer { name in
                var parameters = [
                    OSSL_PARAM_construct_utf8_string(parameter, name.baseAddress, 0), OSSL_PARAM_construct_end(),
                ]
                return EVP_MAC_CTX_set_params(context, &parameters)
            }
        }
        guard isSet == 1 else { fatalError(OpenSSLError("setting HMAC up").description) }
        return context
    }
}

/// A running digest over bytes given in pieces. Its context is reused by every `finish`.
public final class RunningDigest {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    /// SHA-256 (FIPS 180-4).
    public static func sha256() -> RunningDigest { RunningDigest(Algorithm.sha256) }

    /// SM3 (GB/T 32905-2016), which not every libcrypto has.
    public static func sm3() throws(MissingAlgorithm) -> RunningDigest {
        guard let sm3 = Algorithm.sm3 else { throw .sm3 }
        return RunningDigest(sm3)
    }

    /// Whether libcrypto has SM3.
    public static var hasSM3: Bool { Algorithm.sm3 != nil }

    private init(_ algorithm: OpaquePointer) {
        self.algorithm = algorithm
        context = required(EVP_MD_CTX_new(), "allocating a digest context")
        start()
    }

    deinit { EVP_MD_CTX_free(context) }

    private func start() {
        guard EVP_DigestInit_ex2(context, algorithm, nil) == 1 else {
            fatalError(OpenSSLError("starting a digest").description)
        }
    }

    public func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.isEmpty || EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
            fatalError(OpenSSLError("hashing").description)
        }
    }

    /// The digest of everything since the start or the last `finish`; begins anew.
    public func finish() -> Digest {
        let digest = Digest(writing: { target in
            guard EVP_DigestFinal_ex(context, target.assumingMemoryBound(to: UInt8.self).baseAddress, nil) == 1 else {
                fatalError(OpenSSLError("finishing a digest").description)
            }
        })
        start()
        return digest
    }
}

/// SHA-256 with one reused context, and with it the RFC 6962 tree hashes. Not for use by two threads at once.
public struct SHA256Hasher: TreeHasher {
    private let digest = RunningDigest.sha256()

    public init() {}

    /// SHA-256 of `bytes`.
    public func hash(_ bytes: [UInt8]) -> Digest {
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    public mutating func leaf(_ entry: UnsafeRawBufferPointer) -> Digest {
        prefix(0)
        digest.update(entry)
        return digest.finish()
    }

    public mutating func node(_ left: Digest, _ right: Digest) -> Digest {
        prefix(1)
        left.withUnsafeBytes { digest.update($0) }
        right.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    public mutating func empty() -> Digest { digest.finish() }

    /// The leaf hash of an entry held in an array.
    public mutating func leaf(_ entry: [UInt8]) -> Digest {
        entry.withUnsafeBytes { leaf($0) }
    }

    private func prefix(_ byte: UInt8) {
        withUnsafeBytes(of: byte) { digest.update($0) }
    }
}

/// HMAC-SHA-256 (RFC 2104) under a fixed key.
public final class KeyedHash: Sendable {
    // The context, keyed once; guarded because hashing changes it.
    private let context: Mutex<UInt>

    /// - Parameter key: of any length; here always 32 bytes.
    public init(key: SecretBytes) {
        let context = Algorithm.keyedHash("SHA256")
        let started = key.withUnsafeBytes { key in
            EVP_MAC_init(context, key.assumingMemoryBound(to: UInt8.self).baseAddress, key.count, nil)
        }
        guard started == 1 else { fatalError(OpenSSLError("keying HMAC").description) }
        self.context = Mutex(UInt(bitPattern: context))
    }

    deinit { context.withLock { EVP_MAC_CTX_free(OpaquePointer(bitPattern: $0)) } }

    /// Whether `code` is the hash of `bytes`; its time doesn't tell where they differ.
    public func isValid(code: Digest, over bytes: [UInt8]) -> Bool {
        let expected = hash(bytes)
        return expected.withUnsafeBytes { expected in
            code.withUnsafeBytes { CRYPTO_memcmp(expected.baseAddress, $0.baseAddress, expected.count) == 0 }
        }
    }

    /// The hash of `bytes`.
    public func hash(_ bytes: [UInt8]) -> Digest {
        context.withLock { address in
            let context = OpaquePointer(bitPattern: address)
            return Digest(writing: { target in
                var length = 0
                // Without a key, init begins anew under the one there is.
                guard EVP_MAC_init(context, nil, 0, nil) == 1,
                    EVP_MAC_update(context, bytes, bytes.count) == 1,
                    EVP_MAC_final(
                        context,
                        target.assumingMemoryBound(to: UInt8.self).baseAddress,
                        &length,
                        target.count
                    ) == 1, length == 32
                else { fatalError(OpenSSLError("HMAC").description) }
            })
        }
    }
}
