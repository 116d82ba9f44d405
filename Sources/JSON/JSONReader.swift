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
    /// Whether the innermost object or array that is read step by step was just entered.
    var isAtStart = false
    /// How long the canonical text of the object at hand may be, in bytes.
    var textLimit = Int.max
    /// Names of the members of the objects that are open, innermost last.
    private var names: [String] = []

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

    /// Reads any value.
    public mutating func value() throws(JSONError) -> JSONValue {
        switch try peek() {
        case UInt8(ascii: "{"):
            var members: [JSONMember] = []
            try object { (name, reader) throws(JSONError) in
                members.append(JSONMember(name: name, value: try reader.value()))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { (reader) throws(JSONError) in elements.append(try reader.value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try bool())
        case UInt8(ascii: "n"):
            try literal("null")
            return .null
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): return .int(try int())
        default: throw JSONError(.unexpectedByte, at: position)
        }
    }

    /// Reads an object, calling `member` with each name and the reader standing before the value, which the closure
    /// must consume. Names seen twice are refused.
    public mutating func object(
        _ member: (String, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(UInt8(ascii: "{"))
        let first = names.count
        defer { names.removeLast(names.count - first) }
        // A list beats a set for the few members real messages have; past 16 the set keeps hostile input linear.
        // Both compare bytes: to `String`, names that differ in normalisation are equal.
        var many: Set<[UInt8]> = []
        if try peek() == UInt8(ascii: "}") {
            close()
            return
        }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
            let start = position
            let name = try string()
            if names.count - first < 16 {
                for known in names[first...] where JSONReader.isSame(known, name) {
                    throw JSONError(.duplicateName, at: start)
                }
                names.append(name)
            } else {
                if many.isEmpty { many.formUnion(names[first...].map { Array($0.utf8) }) }
                guard many.insert(Array(name.utf8)).inserted else { throw JSONError(.duplicateName, at: start) }
            }
            guard try peek() == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: position) }
            position += 1
            try member(name, &self)
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                close()
                return
            default: throw JSONError(.unexpectedByte, at: position)
            }
        }
    }

    /// Reads an array, calling `element` with the reader standing before each element, which the closure must consume.
    public mutating func array(_ element: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        try open(UInt8(ascii: "["))
        if try peek() == UInt8(ascii: "]") {
            close()
            return
        }
        while true {
            try element(&self)
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                close()
                return
            default: throw JSONError(.unexpectedByte, at: position)
            }
        }
    }

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

    /// Passes over one value of any kind, checking it as strictly as if it were read, and returns where it stood.
    public mutating func skip() throws(JSONError) -> Range<Int> {
        skipWhitespace()
        let start = position
        var names: [Range<Int>] = []
        try skipValue(&names)
        return start..<position
    }

    /// Reads a string.
    public mutating func string() throws(JSONError) -> String {
        guard let range = try plainString() else { return try escapedString() }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    /// Reads a string and hands over its UTF-8 bytes where they lie, so that what is parsed further needs no `String`.
    @inlinable
    public mutating func string<Result>(_ body: (Span<UInt8>) -> Result) throws(JSONError) -> Result {
        guard let range = try plainString() else {
            let text = try escapedString()
            return body(text.utf8.span)
        }
        return body(bytes.span.extracting(range))
    }

    // MARK: Parts

    /// Reads a string without escapes and tells where its bytes, valid UTF-8, stand. Nil where it has escapes; the
    /// reader then still stands on its opening quote.
    @usableFromInline
    mutating func plainString() throws(JSONError) -> Range<Int>? {
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.wrongType, at: position) }
        let start = position + 1
        let (end, isASCII) = bytes.withUnsafeBytes { JSONReader.endOfPlain($0, from: start) }
        guard end < bytes.count else { throw JSONError(.unexpectedEnd, at: end) }
        switch bytes[end] {
        case UInt8(ascii: "\""): break
        case UInt8(ascii: "\\"): return nil
        default: throw JSONError(.controlCharacter, at: end)
        }
        guard isASCII || String(validating: bytes[start..<end], as: UTF8.self) != nil else {
            throw JSONError(.invalidUTF8, at: start)
        }
        position = end + 1
        return start..<end
    }

    /// The first byte from `start` on that is a quote, a backslash or a control character, and whether all before it are
    /// ASCII.
    private static func endOfPlain(_ text: UnsafeRawBufferPointer, from start: Int) -> (end: Int, isASCII: Bool) {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var end = start
        var seen: UInt64 = 0
        // Eight bytes at once: x − 1 borrows into the high bit of a byte that is zero, x − 32 into that of a control
        // character. What is no such byte may be found as well, but none is missed.
        while end + 8 <= text.count {
            let word = text.loadUnaligned(fromByteOffset: end, as: UInt64.self)
            let quote = word ^ (ones * UInt64(UInt8(ascii: "\"")))
            let backslash = word ^ (ones * UInt64(UInt8(ascii: "\\")))
            let stops =
                (quote &- ones) & ~quote | (backslash &- ones) & ~backslash | (word &- ones &* 0x20) & ~word
            if stops & highs != 0 { break }
            seen |= word
            end += 8
        }
        var tail: UInt8 = 0
        while end < text.count {
            let byte = text[end]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            tail |= byte
            end += 1
        }
        return (end, (seen & highs) == 0 && tail < 0x80)
    }

    /// Whether two names have the same bytes; those that fit into a small string compare at once.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    @usableFromInline
    mutating func escapedString() throws(JSONError) -> String {
        position += 1
        let start = position
        var unescaped: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: unescaped, as: UTF8.self) else {
                    throw JSONError(.invalidUTF8, at: start)
                }
                position += 1
                return text
            case UInt8(ascii: "\\"):
                position += 1
                try unescape(into: &unescaped)
            case 0..<0x20: throw JSONError(.controlCharacter, at: position)
            default:
                unescaped.append(byte)
                position += 1
            }
        }
        throw JSONError(.unexpectedEnd, at: position)
    }

    private mutating func unescape(into text: inout [UInt8]) throws(JSONError) {
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        let escape = bytes[position]
        position += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let start = position - 2
            var scalar = try hexQuad()
            if 0xD800...0xDBFF ~= scalar {
                guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                    bytes[position + 1] == UInt8(ascii: "u")
                else { throw JSONError(.loneSurrogate, at: start) }
                position += 2
                let low = try hexQuad()
                guard 0xDC00...0xDFFF ~= low else { throw JSONError(.loneSurrogate, at: start) }
                scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00)
            }
            guard let unicode = Unicode.Scalar(scalar) else { throw JSONError(.loneSurrogate, at: start) }
            text.append(contentsOf: UTF8.encode(unicode) ?? UTF8.encodedReplacementCharacter)
        default: throw JSONError(.invalidEscape, at: position - 1)
        }
    }

    private mutating func hexQuad() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
        var value: UInt32 = 0
        for offset in position..<position + 4 {
            let byte = bytes[offset]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw JSONError(.invalidEscape, at: offset)
            }
            value = value << 4 | UInt32(digit)
        }
        position += 4
        return value
    }

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

    mutating func open(_ bracket: UInt8) throws(JSONError) {
        guard try peek() == bracket else { throw JSONError(.wrongType, at: position) }
        guard depth < JSONReader.maximumDepth else { throw JSONError(.tooDeep, at: position) }
        depth += 1
        position += 1
    }

    mutating func close() {
        depth -= 1
        position += 1
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
