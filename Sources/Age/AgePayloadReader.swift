import OpenSSL

/// Decrypts the payload of one file, given in pieces of any size, and gives nothing out that isn't verified. It holds one
/// chunk at most. Not for use by two threads at once.
///
/// What was given out is the beginning of the content; that it is the whole of it shows `finish` only.
public final class AgePayloadReader {
    private let fileKey: AgeFileKey
    /// nil until the nonce is there.
    private var cipher: AgeChunkCipher?
    /// Less than a full chunk, or less than a nonce.
    private var pending: [UInt8] = []
    private var number: UInt64 = 0
    /// Whether the last chunk was among those that were opened.
    private var isEnded = false
    /// Why no more is taken.
    private var refusal: (any Error)?

    /// - Parameter fileKey: that of the file's header, which `AgeHeader.check` showed to be sound.
    public init(fileKey: AgeFileKey) {
        self.fileKey = fileKey
        pending.reserveCapacity(AgePayload.sealedChunkBytes)
    }

    /// Takes the next piece of the payload, and appends the plaintext of every chunk that is whole then to `plaintext`. A
    /// caller who empties that in between, keeping its capacity, allocates nothing more.
    ///
    /// - Throws: `AgePayloadError`, and that again whatever follows. The chunks before the one that is refused were
    ///   appended. `MissingAlgorithm` where libcrypto has no ChaCha20-Poly1305.
    public func read(_ piece: UnsafeRawBufferPointer, to plaintext: inout [UInt8]) throws {
        try refusing { try take(piece, to: &plaintext) }
    }

    /// The payload has ended. Appends what is left.
    ///
    /// - Throws: as `read`; also where the payload ends anywhere but behind its last chunk, or that is empty without being
    ///   the only one.
    public func finish(to plaintext: inout [UInt8]) throws {
        try refusing { try end(to: &plaintext) }
        refusal = AgePayloadError.finished
    }

    private func refusing(_ work: () throws -> Void) throws {
        if let refusal { throw refusal }
        do { try work() } catch {
            refusal = error
            throw error
        }
    }

    private func take(_ piece: UnsafeRawBufferPointer, to plaintext: inout [UInt8]) throws {
        var rest = piece
        let cipher: AgeChunkCipher
        if let begun = self.cipher {
            cipher = begun
        } else {
            pending.append(contentsOf: AgePayloadReader.take(AgePayload.nonceBytes - pending.count, of: &rest))
            guard pending.count == AgePayload.nonceBytes else { return }
            cipher = try AgeChunkCipher(fileKey, nonce: pending)
            self.cipher = cipher
            pending.removeAll(keepingCapacity: true)
        }
        while !rest.isEmpty {
            if isEnded { throw AgePayloadError.dataAfterEnd }
            let taken = AgePayloadReader.take(AgePayload.sealedChunkBytes - pending.count, of: &rest)
            if taken.count == AgePayload.sealedChunkBytes {
                try openFull(taken, cipher, to: &plaintext)
            } else {
                pending.append(contentsOf: taken)
                guard pending.count == AgePayload.sealedChunkBytes else { return }
                try pending.withUnsafeBytes { try openFull($0, cipher, to: &plaintext) }
                pending.removeAll(keepingCapacity: true)
            }
        }
    }

    /// A full chunk may be the last one, too.
    private func openFull(
        _ sealed: UnsafeRawBufferPointer,
        _ cipher: AgeChunkCipher,
        to plaintext: inout [UInt8]
    ) throws {
        if try !cipher.open(sealed, number, isLast: false, to: &plaintext) {
            isEnded = try cipher.open(sealed, number, isLast: true, to: &plaintext)
            guard isEnded else { throw AgePayloadError.chunk(number) }
        }
        number += 1
    }

    private func end(to plaintext: inout [UInt8]) throws {
        guard let cipher else { throw AgePayloadError.nonce }
        guard !isEnded else { return }
        guard !pending.isEmpty else { throw AgePayloadError.cutOff }
        if pending.count == ChaCha20Poly1305.tagBytes, number > 0 { throw AgePayloadError.emptyLastChunk }
        guard try pending.withUnsafeBytes({ try cipher.open($0, number, isLast: true, to: &plaintext) }) else {
            throw AgePayloadError.chunk(number)
        }
        pending = []
    }

    /// Takes so many bytes off the front, or what there is.
    private static func take(_ count: Int, of rest: inout UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        return taken
    }
}
