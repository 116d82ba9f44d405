/// Strings: where they end, what their escapes mean, that they are UTF-8.
extension JSONReader {
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

    /// The text of a string that was read before, its escapes resolved.
    ///
    /// - Parameter range: where its bytes stand between the quotes.
    static func unescaped(_ text: [UInt8], _ range: Range<Int>) -> String {
        var reader = JSONReader(text, at: range.lowerBound - 1)
        return (try? reader.string()) ?? ""
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
}
