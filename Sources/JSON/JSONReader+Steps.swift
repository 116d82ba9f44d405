/// Objects and arrays step by step: the one place that knows how members and elements follow one another. All other forms
/// of reading are built on it.
extension JSONReader {
    /// A member's name where it stands, as it is written.
    public struct Name: Sendable {
        /// The bytes between its quotes.
        @usableFromInline let range: Range<Int>
        @usableFromInline let hasEscapes: Bool
    }

    /// Enters an object; `nextName` follows.
    public mutating func beginObject() throws(JSONError) { try open(UInt8(ascii: "{")) }

    /// The name of the next member, the reader standing before its value, which must be consumed; nil at the end of the
    /// object, which is then left. Names that occur twice are not noticed: whoever knows the members notices.
    public mutating func nextName() throws(JSONError) -> Name? {
        guard try goesOn(until: UInt8(ascii: "}")) else { return nil }
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
        let start = position + 1
        let plain = try plainString()
        if plain == nil { _ = try escapedString() }
        let name = Name(range: plain ?? start..<position - 1, hasEscapes: plain == nil)
        try colon()
        return name
    }

    /// Enters an array; `nextElement` follows.
    public mutating func beginArray() throws(JSONError) { try open(UInt8(ascii: "[")) }

    /// Whether there is another element, the reader standing before it; false at the end of the array, which is then
    /// left.
    public mutating func nextElement() throws(JSONError) -> Bool { try goesOn(until: UInt8(ascii: "]")) }

    /// Whether a name is this one, which needs no escapes.
    public func isName(_ name: Name, _ text: StaticString) -> Bool {
        if name.hasEscapes { return resolved(name).utf8.elementsEqual(text.description.utf8) }
        guard name.range.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { expected in
            for offset in 0..<expected.count where bytes[name.range.lowerBound + offset] != expected[offset] {
                return false
            }
            return true
        }
    }

    /// Calls `body` with the name's text, its escapes resolved.
    @inlinable
    public func withText<Result>(of name: Name, _ body: (Span<UInt8>) -> Result) -> Result {
        if name.hasEscapes { return body(resolved(name).utf8.span) }
        return body(bytes.span.extracting(name.range))
    }

    /// The name's text, its escapes resolved.
    @usableFromInline
    func resolved(_ name: Name) -> String {
        name.hasEscapes
            ? JSONReader.unescaped(bytes, name.range) : String(decoding: bytes[name.range], as: UTF8.self)
    }

    // MARK: Brackets and commas

    mutating func open(_ bracket: UInt8) throws(JSONError) {
        guard try peek() == bracket else { throw JSONError(.wrongType, at: position) }
        guard depth < JSONReader.maximumDepth else { throw JSONError(.tooDeep, at: position) }
        depth += 1
        position += 1
        isAtStart = true
    }

    /// Passes over the comma before the next member or element, where there is one; leaves the object or array at its
    /// end.
    mutating func goesOn(until bracket: UInt8) throws(JSONError) -> Bool {
        let byte = try peek()
        if byte == bracket {
            // After a comma something must follow; commas are consumed below, together with what follows.
            depth -= 1
            position += 1
            isAtStart = false
            return false
        }
        if isAtStart {
            isAtStart = false
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw JSONError(.unexpectedByte, at: position) }
        position += 1
        guard try peek() != bracket else { throw JSONError(.unexpectedByte, at: position) }
        return true
    }

    mutating func colon() throws(JSONError) {
        guard try peek() == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: position) }
        position += 1
    }
}
