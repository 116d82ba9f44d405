import Merkle

/// An opaque 128-bit identifier: 48 bits of Unix milliseconds, then 80 random bits, so that ids handed out later sort
/// later and say nothing else. Text form: 32 lower-case hex digits.
public struct ID128: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An id for `milliseconds` since the Unix epoch; `random` supplies the other 80 bits.
    public init(milliseconds: UInt64, random: (UInt16, UInt64)) {
        high = milliseconds << 16 | UInt64(random.0)
        low = random.1
    }

    /// Parses exactly 32 lower-case hex digits.
    public init?(_ text: some StringProtocol) {
        let digits = Array(text.utf8)
        self.init(digits: digits.span)
    }

    /// Parses exactly 32 lower-case hex digits given as ASCII.
    public init?(digits: Span<UInt8>) {
        guard digits.count == 32, let high = UInt64(hexDigits: digits.extracting(first: 16)),
            let low = UInt64(hexDigits: digits.extracting(last: 16))
        else { return nil }
        self.high = high
        self.low = low
    }

    /// Big-endian bytes, 16 of them.
    public init?(bytes: Span<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        for position in 0..<8 {
            words.high = words.high << 8 | UInt64(bytes[position])
            words.low = words.low << 8 | UInt64(bytes[8 + position])
        }
        (high, low) = words
    }

    /// Appends the 16 big-endian bytes.
    public func append(to bytes: inout [UInt8]) {
        withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends the 32 hex digits.
    public func appendDigits(to text: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digits in
            for position in 0..<32 {
                let word = position < 16 ? high : low
                digits[position] = Hex.digit(
                    of: UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (position & 15)) & 15)
                )
            }
            text.append(contentsOf: digits)
        }
    }

    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(32)
        appendDigits(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    public static func < (left: ID128, right: ID128) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension UInt64 {
    /// Reads up to 16 lower-case hex digits given as ASCII.
    init?(hexDigits digits: Span<UInt8>) {
        self = 0
        for position in digits.indices {
            let value = Hex.value(of: digits[position])
            guard value < 16 else { return nil }
            self = self << 4 | UInt64(value)
        }
    }
}
