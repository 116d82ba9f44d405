import OpenSSL

/// How an age v1 file encrypts its content: a nonce of 16 bytes, then chunks of 64 KiB, the last of them shorter or full,
/// each sealed with ChaCha20-Poly1305.
public enum AgePayload {
    /// Bytes of plaintext in every chunk but the last.
    public static let chunkBytes = 1 << 16
    /// Bytes of a sealed full chunk.
    public static let sealedChunkBytes = chunkBytes + ChaCha20Poly1305.tagBytes
    /// Bytes of the nonce at the beginning.
    public static let nonceBytes = 16

    /// Bytes of the payload, nonce and all, that so many bytes of plaintext make; nil where 64 bits don't count them.
    public static func payloadBytes(ofPlaintext count: UInt64) -> UInt64? {
        let (chunk, tag) = (UInt64(chunkBytes), UInt64(ChaCha20Poly1305.tagBytes))
        // An empty file has one chunk, too.
        let chunks = max(1, count / chunk + (count % chunk == 0 ? 0 : 1))
        let (sum, isOverflowing) = count.addingReportingOverflow(UInt64(nonceBytes) + chunks * tag)
        return isOverflowing ? nil : sum
    }

    /// Bytes of plaintext in a payload of so many bytes; nil where none has so many.
    public static func plaintextBytes(ofPayload count: UInt64) -> UInt64? {
        let (sealed, tag) = (UInt64(sealedChunkBytes), UInt64(ChaCha20Poly1305.tagBytes))
        guard count >= UInt64(nonceBytes) + tag else { return nil }
        let (whole, rest) = (count - UInt64(nonceBytes)).quotientAndRemainder(dividingBy: sealed)
        // A chunk of nothing but its tag is that of an empty file.
        guard rest == 0 || rest > tag || whole == 0 else { return nil }
        return count - UInt64(nonceBytes) - (whole + (rest == 0 ? 0 : 1)) * tag
    }
}

/// Seals and opens the chunks of one payload. Numbers have 64 bits of the 88 that the nonce has room for: no file has so
/// many chunks.
struct AgeChunkCipher {
    private let cipher: ChaCha20Poly1305

    init(_ fileKey: AgeFileKey, nonce: [UInt8]) throws {
        cipher = try ChaCha20Poly1305(key: fileKey.payloadKey(nonce: nonce))
    }

    func seal(_ chunk: UnsafeRawBufferPointer, _ number: UInt64, isLast: Bool, to payload: inout [UInt8]) throws {
        try cipher.seal(chunk, nonce: AgeChunkCipher.nonce(number, isLast: isLast), to: &payload)
    }

    /// Whether it was sealed as this chunk; nothing is appended where not.
    func open(
        _ sealed: UnsafeRawBufferPointer,
        _ number: UInt64,
        isLast: Bool,
        to plaintext: inout [UInt8]
    ) throws -> Bool {
        try cipher.open(sealed, nonce: AgeChunkCipher.nonce(number, isLast: isLast), to: &plaintext)
    }

    /// The number in 11 bytes, big-endian, and one that tells the last chunk from all others.
    private static func nonce(_ number: UInt64, isLast: Bool) -> ChaCha20Poly1305.Nonce {
        var nonce = ChaCha20Poly1305.Nonce(repeating: 0)
        for position in 0..<8 { nonce[10 - position] = UInt8(truncatingIfNeeded: number >> UInt64(8 * position)) }
        nonce[11] = isLast ? 1 : 0
        return nonce
    }
}
