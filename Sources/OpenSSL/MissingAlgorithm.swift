import COpenSSL

/// An algorithm that the system's libcrypto does not have, whether it was built so or configured so.
public struct MissingAlgorithm: Error, Sendable, CustomStringConvertible {
    /// What it is called.
    public let name: String

    /// For those who can do without it.
    public static let sm3 = MissingAlgorithm("SM3")

    /// For those whose ledgers have the suite `aes`.
    public static let sm4 = MissingAlgorithm("SM4")

    /// For those who read and write no age files; the provider of FIPS 140 has none.
    public static let chaCha20Poly1305 = MissingAlgorithm("ChaCha20-Poly1305")

    /// For those who encrypt to no X25519 recipients.
    public static let x25519 = MissingAlgorithm("X25519")

    init(_ name: String) { self.name = name }

    public var description: String { "this computer's OpenSSL has no \(name)" }

    /// Finds out whether libcrypto has what no part of the program does without; what only some need, such as SM3, is
    /// asked for where it is needed. To be called before all else: later a missing algorithm ends the process.
    public static func check() throws(MissingAlgorithm) {
        defer { ERR_clear_error() }
        guard let sha256 = EVP_MD_fetch(nil, "SHA256", nil) else { throw MissingAlgorithm("SHA-256") }
        EVP_MD_free(sha256)
        guard let hmac = EVP_MAC_fetch(nil, "HMAC", nil) else { throw MissingAlgorithm("HMAC") }
        EVP_MAC_free(hmac)
        guard let derivation = EVP_KDF_fetch(nil, "HKDF", nil) else { throw MissingAlgorithm("HKDF") }
        EVP_KDF_free(derivation)
        guard let cipher = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else { throw MissingAlgorithm("AES-256-GCM") }
        EVP_CIPHER_free(cipher)
        guard let signature = EVP_SIGNATURE_fetch(nil, "ED25519", nil) else { throw MissingAlgorithm("Ed25519") }
        EVP_SIGNATURE_free(signature)
    }
}
