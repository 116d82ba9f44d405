import COpenSSL

/// HKDF (RFC 5869), the way from one secret to keys for different ends.
public enum KeyDerivation {
    /// HKDF with SHA-256.
    ///
    /// - Parameters:
    ///   - salt: may be empty.
    ///   - info: what the key is for; no two ends have the same.
    ///   - count: bytes wanted, at most 255 · 32.
    public static func hkdfSHA256(key: SecretBytes, salt: [UInt8] = [], info: [UInt8], count: Int) throws -> SecretBytes
    {
        try hkdf("SHA256", key: key, salt: salt, info: info, count: count)
    }

    /// HKDF with SM3 (GB/T 32905-2016).
    public static func hkdfSM3(key: SecretBytes, salt: [UInt8] = [], info: [UInt8], count: Int) throws -> SecretBytes {
        try hkdf("SM3", key: key, salt: salt, info: info, count: count)
    }

    static func hkdf(
        _ digest: StaticString,
        key: SecretBytes,
        salt: [UInt8] = [],
        info: [UInt8],
        count: Int
    ) throws -> SecretBytes {
        let context = required(EVP_KDF_CTX_new(Algorithm.hkdf), "allocating a key derivation context")
        defer { EVP_KDF_CTX_free(context) }
        let name = Array(digest.description.utf8CString)
        return try SecretBytes(count: count) { output in
            let isDerived = key.withUnsafeBytes { key in
                salt.withUnsafeBytes { salt in
                    info.withUnsafeBytes { info in
                        evidenced_hkdf(
                            context,
                            name,
                            key.baseAddress,
                            key.count,
                            salt.baseAddress,
                            salt.count,
                            info.baseAddress,
                            info.count,
                            output.assumingMemoryBound(to: UInt8.self).baseAddress,
                            output.count
                        )
                    }
                }
            }
            guard isDerived == 1 else { throw OpenSSLError("deriving a key") }
        }
    }
}
