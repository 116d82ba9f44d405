import OpenSSL

/// Encrypts the content of one file, given in pieces of any size. It holds one chunk at most. Not for use by two threads
/// at once.
public final class AgePayloadWriter {
    private let cipher: AgeChunkCipher
    /// At most a full chunk, for only what follows shows that it is not the last.
    private var pending: [UInt8] = []
    private var number: UInt64 = 0
    /// Also where sealing failed: a number is never used twice.
    private var isOver = false

    /// Begins a payload with a new nonce, which it appends to `payload`.
    ///
    /// - Throws: `MissingAlgorithm` where libcrypto has no ChaCha20-Poly1305.
    public convenience init(fileKey: AgeFileKey, to payload: inout [UInt8]) throws {
        try self.init(fileKey: fileKey, nonce: SecureRandom.bytes(AgePayload.nonceBytes), to: &payload)
    }

    /// For tests: the same nonce under the same file key for two contents would give both away.
    init(fileKey: AgeFileKey, nonce: [UInt8], to payload: inout [UInt8]) throws {
        cipher = try AgeChunkCipher(fileKey, nonce: nonce)
        pending.reserveCapacity(AgePayload.chunkBytes)
        payload += nonce
    }

    /// Takes the next piece of the content, and appends every chunk that is full then to `payload`. A caller who empties
    /// that in between, keeping its capacity, allocates nothing more.
    ///
    /// - Throws: `AgePayloadError.finished` after `finish`; `OpenSSLError`, after which the payload can't be gone on with.
    public func write(_ piece: UnsafeRawBufferPointer, to payload: inout [UInt8]) throws {
        guard !isOver else { throw AgePayloadError.finished }
        isOver = true
        var rest = piece
        while pending.count + rest.count > AgePayload.chunkBytes {
            let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(AgePayload.chunkBytes - pending.count))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken.count))
            if pending.isEmpty {
                try cipher.seal(taken, number, isLast: false, to: &payload)
            } else {
                pending.append(contentsOf: taken)
                try pending.withUnsafeBytes { try cipher.seal($0, number, isLast: false, to: &payload) }
                pending.removeAll(keepingCapacity: true)
            }
            number += 1
        }
        pending.append(contentsOf: rest)
        isOver = false
    }

    /// Appends the last chunk to `payload`.
    ///
    /// - Throws: as `write`.
    public func finish(to payload: inout [UInt8]) throws {
        guard !isOver else { throw AgePayloadError.finished }
        isOver = true
        try pending.withUnsafeBytes { try cipher.seal($0, number, isLast: true, to: &payload) }
        pending = []
    }
}
