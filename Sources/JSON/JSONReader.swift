/// A strict pull reader for JSON (RFC 8259 narrowed as I-JSON, RFC 7493): no duplicate names, no trailing commas,
/// integers only, valid UTF-8 and paired surrogates only, bounded depth.
///
/// The reader never recurses deeper than `maximumDepth` and never traps on hostile input.
public struct JSONReader: Sendable {
    /// How deep arrays and objects may nest.
    public static let maximumDepth = 16

    /// The text being read.
    public let bytes: [UInt8]
    /// Offset of the next unread byte.
    public internal(set) var position: Int
    var depth: Int
    /// Whether the innermost object or array was just entered.
    var isAtStart = false
    /// Names of the members of the objects that are open, innermost last; one list for all, so that a message costs one
    /// allocation and not one for each object.
    var names: [Name] = []

    /// - Parameters:
    ///   - position: offset to begin at.
    ///   - depth: how many arrays and objects are open there.
    public init(_ bytes: [UInt8], at position: Int = 0, depth: Int = 0) {
        self.bytes = bytes
        self.position = position
        self.depth = depth
    }

    /// Reads a whole document: one value and nothing after it but whitespace.
    public static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes)
        let value = try reader.value()
        try reader.finish()
        return value
    }

    /// Checks that nothing but whitespace is left.
    public mutating func finish() throws(JSONError) {
        skipWhitespace()
        if position < bytes.count { throw JSONError(.trailingBytes, at: position) }
    }

    /// Reads `true` or `false`.
    ///
    /// - Throws: `JSONError` where another value, or none, stands there.
    public mutating func bool() throws(JSONError) -> Bool {
        let isTrue = try peek() == UInt8(ascii: "t")
        try literal(isTrue ? "true" : "false")
        return isTrue
    }

    /// True, and consumed, if the next value is `null`.
    public mutating func null() throws(JSONError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    /// Whether the next value is an object; nothing is consumed.
    public mutating func isBeforeObject() throws(JSONError) -> Bool { try peek() == UInt8(ascii: "{") }

    /// Whether the next value is an array; nothing is consumed.
    public mutating func isBeforeArray() throws(JSONError) -> Bool { try peek() == UInt8(ascii: "[") }

    /// Whether the next value is a string; nothing is consumed.
    public mutating func isBeforeString() throws(JSONError) -> Bool { try peek() == UInt8(ascii: "\"") }

    /// Reads an integer with |n| ≤ 2^53 − 1; `-0`, fractions and exponents are refused.
    public mutating func int() throws(JSONError) -> Int64 {
        let first = try peek()
        let start = position
        let negative = first == UInt8(ascii: "-")
        if negative { position += 1 }
        var magnitude: Int64 = 0
        let digits = position
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 {
            magnitude = magnitude * 10 + Int64(digit)
            if magnitude > JSONValue.maximumInteger { throw JSONError(.integerOutOfRange, at: start) }
            position += 1
        }
        let count = position - digits
        guard count > 0 else {
            guard negative else { throw JSONError(.wrongType, at: start) }
            throw JSONError(position < bytes.count ? .unexpectedByte : .unexpectedEnd, at: position)
        }
        if bytes[digits] == UInt8(ascii: "0"), count > 1 || negative { throw JSONError(.notAnInteger, at: start) }
        if position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): throw JSONError(.notAnInteger, at: start)
            default: break
            }
        }
        return negative ? -magnitude : magnitude
    }

    // MARK: Parts

    mutating func literal(_ text: StaticString) throws(JSONError) {
        for offset in 0..<text.utf8CodeUnitCount {
            guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
            let expected = text.withUTF8Buffer { $0[offset] }
            guard bytes[position] == expected else {
                throw JSONError(offset == 0 ? .wrongType : .unexpectedByte, at: position)
            }
            position += 1
        }
    }

    mutating func peek() throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        return bytes[position]
    }

    @inline(__always)
    mutating func skipWhitespace() {
        if position < bytes.count, bytes[position] > 0x20 { return }
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }
}
