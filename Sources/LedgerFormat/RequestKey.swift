import Merkle

/// A submitter's idempotency key: a UUID (RFC 9562) in its lower-case hyphenated form. Version 7 is advised, because
/// its leading bits grow with time and the index of keys then stays dense.
public struct RequestKey: Hashable, Sendable, CustomStringConvertible {
    public let value: ID128

    public init(value: ID128) {
        self.value = value
    }

    /// Parses exactly 8-4-4-4-12 lower-case hex digits.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(utf8: bytes.span)
    }

    /// Parses exactly 8-4-4-4-12 lower-case hex digits given as ASCII.
    public init?(utf8 text: Span<UInt8>) {
        let hyphen = UInt8(ascii: "-")
        guard text.count == 36, text[8] == hyphen, text[13] == hyphen, text[18] == hyphen, text[23] == hyphen,
            let first = UInt64(hexDigits: text.extracting(0..<8)),
            let second = UInt64(hexDigits: text.extracting(9..<13)),
            let third = UInt64(hexDigits: text.extracting(14..<18)),
            let fourth = UInt64(hexDigits: text.extracting(19..<23)),
            let fifth = UInt64(hexDigits: text.extracting(24..<36))
        else { return nil }
        value = ID128(high: first << 32 | second << 16 | third, low: fourth << 48 | fifth)
    }

    /// Appends the text form.
    public func append(to text: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 36) { output in
            var digit = 0
            for position in 0..<36 {
                if position == 8 || position == 13 || position == 18 || position == 23 {
                    output[position] = UInt8(ascii: "-")
                    continue
                }
                let word = digit < 16 ? value.high : value.low
                output[position] = Hex.digit(of: UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit & 15)) & 15))
                digit += 1
            }
            text.append(contentsOf: output)
        }
    }

    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
