import COpenSSL
import Glibc

/// Random bytes drawn from the kernel a few at a time, for a piece of work that takes many. Not for use by two threads at
/// once.
///
/// The kernel renews its generator when a virtual machine goes on from a snapshot (random(4), the generation id). Bytes
/// drawn before that would come twice, so none are kept when the work is done.
public final class RandomSupply {
    private static let blockBytes = 256
    private let block: UnsafeMutableRawBufferPointer
    private var used = blockBytes

    public init() {
        let count = RandomSupply.blockBytes
        let address = required(CRYPTO_secure_zalloc(count, nil, 0) ?? CRYPTO_zalloc(count, nil, 0), "allocating")
        block = UnsafeMutableRawBufferPointer(start: address, count: count)
    }

    deinit { CRYPTO_secure_clear_free(block.baseAddress, block.count, nil, 0) }

    /// The next bytes, at most 256, as a secret; none is ever handed out twice.
    public func secret(_ count: Int) throws -> SecretBytes {
        precondition(count <= RandomSupply.blockBytes)
        if RandomSupply.blockBytes - used < count {
            try SecureRandom.fill(block)
            used = 0
        }
        let drawn = UnsafeMutableRawBufferPointer(rebasing: block[used..<used + count])
        used += count
        defer { OPENSSL_cleanse(drawn.baseAddress, drawn.count) }
        return SecretBytes(count: count) { $0.copyMemory(from: UnsafeRawBufferPointer(drawn)) }
    }

    /// Throws away what was drawn and not handed out.
    public func discard() {
        guard used < RandomSupply.blockBytes else { return }
        OPENSSL_cleanse(block.baseAddress, block.count)
        used = RandomSupply.blockBytes
    }
}

/// Random bytes for keys, salts and ids, drawn from the kernel.
public enum SecureRandom {
    /// What the kernel gives at once (getentropy(3)).
    private static let most = 256

    public static func bytes(_ count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            try fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
            written = count
        }
    }

    /// Writes random bytes into a buffer.
    public static func fill(_ buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            let count = min(most, buffer.count - done)
            guard getentropy(buffer.baseAddress.map { $0 + done }, count) == 0 else {
                throw OpenSSLError("drawing random bytes")
            }
            done += count
        }
    }
}
