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
    public private(set) var position: Int
    private var depth = 0

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
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
        default: return .int(try int())
        }
    }

    /// Reads an object, calling `member` with each name and the reader standing before the value, which the closure
    /// must consume. Names seen twice are refused.
    public mutating func object(
        _ member: (String, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(UInt8(ascii: "{"))
        var names: [String] = []
        // A list beats a set for the few members real messages have; past 16 the set keeps hostile input linear.
        var many: Set<String> = []
        if try peek() == UInt8(ascii: "}") {
            close()
            return
        }
        while true {
            let start = position
            guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
            let name = try string()
            if names.count < 16 {
                if names.contains(name) { throw JSONError(.duplicateName, at: start) }
                names.append(name)
            } else {
                if many.isEmpty { many.formUnion(names) }
                guard many.insert(name).inserted else { throw JSONError(.duplicateName, at: start) }
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
        guard count > 0 else { throw JSONError(negative ? .unexpectedByte : .wrongType, at: start) }
        if bytes[digits] == UInt8(ascii: "0"), count > 1 || negative { throw JSONError(.notAnInteger, at: start) }
        if position < bytes.count, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position]) {
            throw JSONError(.notAnInteger, at: start)
        }
        return negative ? -magnitude : magnitude
    }

    /// Passes over one value of any kind, checking it as strictly as if it were read, and returns where it stood.
    public mutating func skip() throws(JSONError) -> Range<Int> {
        skipWhitespace()
        let start = position
        _ = try value()
        return start..<position
    }

    /// Reads a string.
    public mutating func string() throws(JSONError) -> String {
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.wrongType, at: position) }
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = String(validating: bytes[start..<position], as: UTF8.self)
                guard let text else { throw JSONError(.invalidUTF8, at: start) }
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 0x20 { throw JSONError(.controlCharacter, at: position) }
            position += 1
        }
        throw JSONError(.unexpectedEnd, at: position)
    }

    // MARK: Parts

    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var unescaped = Array(bytes[start..<position])
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

    private mutating func literal(_ text: StaticString) throws(JSONError) {
        let start = position
        for offset in 0..<text.utf8CodeUnitCount {
            guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
            let expected = text.withUTF8Buffer { $0[offset] }
            guard bytes[position] == expected else {
                throw JSONError(offset == 0 ? .wrongType : .unexpectedByte, at: start)
            }
            position += 1
        }
    }

    private mutating func open(_ bracket: UInt8) throws(JSONError) {
        guard try peek() == bracket else { throw JSONError(.wrongType, at: position) }
        guard depth < JSONReader.maximumDepth else { throw JSONError(.tooDeep, at: position) }
        depth += 1
        position += 1
    }

    private mutating func close() {
        depth -= 1
        position += 1
    }

    private mutating func peek() throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        return bytes[position]
    }

    private mutating func skipWhitespace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }
}
