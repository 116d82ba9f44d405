import COpenSSL

/// Random bytes drawn from libcrypto in blocks. Not for use by two threads at once.
public final class RandomSupply {
    private static let blockBytes = 4_096
    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: blockBytes, alignment: 8)
    private var used = blockBytes

    public init() {}

    deinit {
        OPENSSL_cleanse(block.baseAddress, block.count)
        block.deallocate()
    }

    /// The next bytes, at most 4,096; none is ever handed out twice, nor kept.
    public func bytes(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        try append(count, to: &bytes)
        return bytes
    }

    /// Appends the next bytes, at most 4,096.
    public func append(_ count: Int, to bytes: inout [UInt8]) throws {
        precondition(count <= RandomSupply.blockBytes)
        if RandomSupply.blockBytes - used < count {
            guard
                RAND_bytes(block.assumingMemoryBound(to: UInt8.self).baseAddress, Int32(RandomSupply.blockBytes)) == 1
            else { throw OpenSSLError("drawing random bytes") }
            used = 0
        }
        let drawn = UnsafeMutableRawBufferPointer(rebasing: block[used..<used + count])
        bytes.append(contentsOf: drawn)
        drawn.initializeMemory(as: UInt8.self, repeating: 0)
        used += count
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
