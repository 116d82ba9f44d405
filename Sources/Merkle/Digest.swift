/// A 32-byte hash value.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    // Four words in memory order: equality and hashing without an allocation.
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// 32 zero bytes.
    public static let zero = Digest()

    private init() {}

    /// The digest whose bytes `body` writes into the 32-byte buffer it is given.
    public init(writing body: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        try withUnsafeMutableBytes(of: &words) { try body($0) }
    }

    /// Exactly 32 bytes; nil for any other count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    /// Exactly 64 hex digits of lower case.
    public init?(hex: some StringProtocol) {
        self.init(hexDigits: hex.utf8)
    }

    /// Exactly 64 hex digits of lower case given as ASCII.
    public init?(hexDigits: some Sequence<UInt8>) {
        // Most callers hold the digits in one piece; walking a string's view byte by byte costs ten times as much.
        let isRead = hexDigits.withContiguousStorageIfAvailable { digits in
            Digest.read(digits, into: &words)
        }
        if let isRead {
            guard isRead else { return nil }
            return
        }
        let digits = Array(hexDigits)
        guard digits.withUnsafeBufferPointer({ Digest.read($0, into: &words) }) else { return nil }
    }

    private static func read(
        _ digits: UnsafeBufferPointer<UInt8>,
        into words: inout (UInt64, UInt64, UInt64, UInt64)
    ) -> Bool {
        guard digits.count == 64 else { return false }
        return withUnsafeMutableBytes(of: &words) { bytes in
            for (position, digit) in digits.enumerated() {
                let value: UInt8
                switch digit {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit &- UInt8(ascii: "0")
                case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit &- UInt8(ascii: "a") &+ 10
                default: return false
                }
                bytes[position >> 1] = bytes[position >> 1] << 4 | value
            }
            return true
        }
    }

    /// Exactly 44 characters of canonical base64 (RFC 4648 section 4).
    public init?(base64: some StringProtocol) {
        guard let bytes = Base64.decode(base64) else { return nil }
        self.init(bytes)
    }

    /// The 32 bytes from `offset` on; nil where there are fewer.
    public init?(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard offset >= 0, bytes.count - offset >= 32 else { return nil }
        words = (
            bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self)
        )
    }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try Swift.withUnsafeBytes(of: words, body)
    }

    public var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
    public var hex: String { Hex.encode(bytes) }
    public var base64: String { Base64.encode(bytes) }
    public var description: String { hex }

    public func append(to bytes: inout [UInt8]) {
        withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// Appends the 44 characters of base64.
    public func appendBase64(to text: inout [UInt8]) {
        withUnsafeBytes { Base64.append($0, to: &text) }
    }

    public static func == (left: Digest, right: Digest) -> Bool {
        left.words == right.words
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}
