/// Which algorithms keep a ledger's secrets: the keys of its key tree, and all that is sealed under them
/// (`ledger-format.md` section 10, "Suites"). A key tree has one for its whole life.
public enum CipherSuite: String, CaseIterable, Sendable {
    /// AES-256-GCM, and HKDF with SHA-256.
    case aes = "aes-256-gcm"
    /// SM4 in counter mode with HMAC-SM3, and HKDF with SM3, for those whose regulator asks for Chinese algorithms (国密).
    case sm4 = "sm4-ctr-hmac-sm3"

    /// Bytes a sealed message has more than what is sealed.
    public var overhead: Int { self == .aes ? AuthenticatedCipher.overhead : SM4Cipher.overhead }

    /// Bytes of a sealed key.
    public var sealedKeyBytes: Int { CipherKey.count + overhead }

    /// Refuses a suite that this libcrypto can't do, before anything is made that needs it.
    public func requireAlgorithms() throws(MissingAlgorithm) {
        switch self {
        // Nothing runs without these (`MissingAlgorithm.check`).
        case .aes: break
        case .sm4:
            guard Algorithm.sm4CTR != nil else { throw .sm4 }
            guard Algorithm.sm3 != nil else { throw .sm3 }
        }
    }

    /// A key that follows from another, by the HKDF (RFC 5869) of the suite, without a salt.
    ///
    /// - Parameter info: what the key is for; no two ends have the same.
    /// - Throws: `MissingAlgorithm`, `OpenSSLError`.
    public func key(from secret: SecretBytes, info: [UInt8]) throws -> CipherKey {
        try requireAlgorithms()
        let derived =
            switch self {
            case .aes: try KeyDerivation.hkdfSHA256(key: secret, info: info, count: CipherKey.count)
            case .sm4: try KeyDerivation.hkdfSM3(key: secret, info: info, count: CipherKey.count)
            }
        return try CipherKey(derived)
    }
}
