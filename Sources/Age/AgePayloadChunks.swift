import OpenSSL

/// Opens single chunks of a payload whose length is known, for whoever wants a part of a file. Not for use by two threads
/// at once.
///
/// Whoever doesn't know the length from elsewhere opens the last chunk before all others: a payload that was cut off behind
/// any other chunk shows that nowhere else.
public final class AgePayloadChunks {
    private let cipher: AgeChunkCipher
    private let payloadBytes: UInt64
    /// Bytes of the whole content.
    public let plaintextBytes: UInt64

    /// - Parameters:
    ///   - fileKey: that of the file's header, which `AgeHeader.check` showed to be sound.
    ///   - nonce: the first 16 bytes of the payload.
    ///   - payloadBytes: how long the payload is, nonce and all.
    /// - Throws: `AgePayloadError.nonce` where there are not exactly 16; `.length` where no payload is so long.
    public init(fileKey: AgeFileKey, nonce: [UInt8], payloadBytes: UInt64) throws {
        guard nonce.count == AgePayload.nonceBytes else { throw AgePayloadError.nonce }
        guard let count = AgePayload.plaintextBytes(ofPayload: payloadBytes) else { throw AgePayloadError.length }
        cipher = try AgeChunkCipher(fileKey, nonce: nonce)
        self.payloadBytes = payloadBytes
        plaintextBytes = count
    }

    /// How many chunks there are; at least one, numbered from 0.
    public var count: UInt64 {
        let sealed = payloadBytes - UInt64(AgePayload.nonceBytes)
        return (sealed - 1) / UInt64(AgePayload.sealedChunkBytes) + 1
    }

    /// The chunk that holds this byte of the content.
    public func chunk(holding offset: UInt64) -> UInt64 { offset / UInt64(AgePayload.chunkBytes) }

    /// Where a chunk's plaintext stands in the content.
    public func plaintextRange(of number: UInt64) -> Range<UInt64> {
        precondition(number < count, "there is no such chunk")
        let start = number * UInt64(AgePayload.chunkBytes)
        return start..<min(start + UInt64(AgePayload.chunkBytes), plaintextBytes)
    }

    /// Where a sealed chunk stands in the payload, counted from the beginning of its nonce.
    public func payloadRange(of number: UInt64) -> Range<UInt64> {
        precondition(number < count, "there is no such chunk")
        let start = UInt64(AgePayload.nonceBytes) + number * UInt64(AgePayload.sealedChunkBytes)
        return start..<min(start + UInt64(AgePayload.sealedChunkBytes), payloadBytes)
    }

    /// Appends the plaintext of a chunk.
    ///
    /// - Parameter sealed: the bytes in `payloadRange(of: number)`.
    /// - Throws: `AgePayloadError.length` where they are not so many; `.chunk` where they are not that chunk. Nothing was
    ///   appended then.
    public func open(_ number: UInt64, _ sealed: UnsafeRawBufferPointer, to plaintext: inout [UInt8]) throws {
        guard UInt64(sealed.count) == UInt64(payloadRange(of: number).count) else { throw AgePayloadError.length }
        guard try cipher.open(sealed, number, isLast: number == count - 1, to: &plaintext) else {
            throw AgePayloadError.chunk(number)
        }
    }
}
