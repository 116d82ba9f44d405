import COpenSSL

/// Secret bytes outside of Swift's arrays, which leave copies behind wherever they grow or are passed on. They lie in
/// libcrypto's secure heap where the process has one (`SecureHeap`), and are wiped when the last owner lets go.
public final class SecretBytes: @unchecked Sendable, Equatable {
    // Sendable: never changed after init.
    private let bytes: UnsafeMutableRawBufferPointer

    public var count: Int { bytes.count }

    /// - Parameters:
    ///   - count: how many.
    ///   - body: writes them into a buffer of zeros.
    public init(count: Int, writing body: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        // Where the secure heap is full, ordinary memory does: it is wiped all the same.
        let size = max(count, 1)
        let address = required(CRYPTO_secure_zalloc(size, nil, 0) ?? CRYPTO_zalloc(size, nil, 0), "allocating")
        bytes = UnsafeMutableRawBufferPointer(start: address, count: count)
        try body(bytes)
    }

    /// A copy of bytes that are no secret to whoever has them already, such as those of a test.
    public convenience init(copying source: some Collection<UInt8>) {
        self.init(count: source.count) { $0.copyBytes(from: source) }
    }

    /// So many random bytes.
    public static func random(_ count: Int) throws -> SecretBytes {
        try SecretBytes(count: count) { try SecureRandom.fill($0) }
    }

    deinit { CRYPTO_secure_clear_free(bytes.baseAddress, bytes.count, nil, 0) }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(bytes))
    }

    /// Compares without telling by its time where they differ.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        left === right
            || left.count == right.count
                && CRYPTO_memcmp(left.bytes.baseAddress, right.bytes.baseAddress, left.count) == 0
    }
}

/// The part of the process's memory that holds its keys: locked, so that it is never swapped out, left out of core dumps,
/// between pages that nobody may touch.
public enum SecureHeap {
    /// Room for some ten thousand keys of 32 bytes; below the least limit of locked memory (RLIMIT_MEMLOCK) that current
    /// systems have.
    private static let bytes = 1 << 20
    private static let smallest = 32

    /// What the system let the process have.
    public enum Protection: Sendable {
        case whole
        /// It may be swapped out or dumped.
        case unlocked
        case none
    }

    /// Makes it; once, before the first key.
    public static func prepare() -> Protection {
        switch CRYPTO_secure_malloc_init(bytes, smallest) {
        case 1: .whole
        case 2: .unlocked
        default: CRYPTO_secure_malloc_initialized() == 1 ? .whole : .none
        }
    }
}
