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
        let digits = Array(hex.utf8)
        self.init(hexDigits: digits.span)
    }

    /// Exactly 64 hex digits of lower case given as ASCII.
    public init?(hexDigits digits: Span<UInt8>) {
        guard digits.count == 64 else { return nil }
        let isRead = withUnsafeMutableBytes(of: &words) { bytes in
            for position in 0..<32 {
                let high = Hex.value(of: digits[2 * position])
                let low = Hex.value(of: digits[2 * position + 1])
                guard high | low < 16 else { return false }
                bytes[position] = high << 4 | low
            }
            return true
        }
        guard isRead else { return nil }
    }

    /// Exactly 44 characters of canonical base64 (RFC 4648 section 4).
    public init?(base64: some StringProtocol) {
        let characters = Array(base64.utf8)
        self.init(base64: characters.span)
    }

    /// Exactly 44 characters of canonical base64 given as ASCII.
    public init?(base64 characters: Span<UInt8>) {
        // 32 bytes are ten groups of three and two bytes more, which leave two bits that must be zero.
        guard characters.count == 44, characters[43] == UInt8(ascii: "=") else { return nil }
        let isRead = Base64.values.withUnsafeBufferPointer { values in
            withUnsafeMutableBytes(of: &words) { bytes in
                func group(at start: Int, _ count: Int, _ seen: inout UInt8) -> UInt32 {
                    var group: UInt32 = 0
                    for position in start..<start + count {
                        let value = values[Int(characters[position])]
                        seen |= value
                        group = group << 6 | UInt32(value)
                    }
                    return group
                }
                var seen: UInt8 = 0
                for number in 0..<10 {
                    let group = group(at: 4 * number, 4, &seen)
                    bytes[3 * number] = UInt8(truncatingIfNeeded: group >> 16)
                    bytes[3 * number + 1] = UInt8(truncatingIfNeeded: group >> 8)
                    bytes[3 * number + 2] = UInt8(truncatingIfNeeded: group)
                }
                let last = group(at: 40, 3, &seen)
                bytes[30] = UInt8(truncatingIfNeeded: last >> 10)
                bytes[31] = UInt8(truncatingIfNeeded: last >> 2)
                return seen < 64 && last & 3 == 0
            }
        }
        guard isRead else { return nil }
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
