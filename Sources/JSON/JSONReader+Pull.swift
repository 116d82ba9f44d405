/// Reading objects and arrays step by step, for those who know their members: nothing is made of a name.
extension JSONReader {
    /// A member's name where it stands, as it is written.
    public struct Name: Sendable {
        let range: Range<Int>
        let hasEscapes: Bool
    }

    /// Enters an object; `nextName` follows.
    public mutating func beginObject() throws(JSONError) {
        try open(UInt8(ascii: "{"))
        isAtStart = true
    }

    /// The name of the next member, the reader standing before its value, which must be consumed; nil at the end of the
    /// object, which is then left. Names that occur twice are not noticed: whoever knows the members notices.
    public mutating func nextName() throws(JSONError) -> Name? {
        guard try goesOn(until: UInt8(ascii: "}")) else { return nil }
        guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
        let start = position + 1
        let plain = try plainString()
        if plain == nil { _ = try escapedString() }
        let name = Name(range: plain ?? start..<position - 1, hasEscapes: plain == nil)
        guard try peek() == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: position) }
        position += 1
        return name
    }

    /// Whether a name is this one, which needs no escapes.
    public func isName(_ name: Name, _ text: StaticString) -> Bool {
        if let resolved = resolved(name) { return resolved.utf8.elementsEqual(text.description.utf8) }
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
        if let resolved = resolved(name) { return body(resolved.utf8.span) }
        return body(bytes.span.extracting(range(of: name)))
    }

    @usableFromInline
    func range(of name: Name) -> Range<Int> { name.range }

    /// The text of a name that has escapes.
    @usableFromInline
    func resolved(_ name: Name) -> String? {
        guard name.hasEscapes else { return nil }
        return (try? JSONReader.parse(Array(bytes[name.range.lowerBound - 1...name.range.upperBound])))?.string ?? ""
    }

    /// Enters an array; `nextElement` follows.
    public mutating func beginArray() throws(JSONError) {
        try open(UInt8(ascii: "["))
        isAtStart = true
    }

    /// Whether there is another element, the reader standing before it; false at the end of the array, which is then
    /// left.
    public mutating func nextElement() throws(JSONError) -> Bool { try goesOn(until: UInt8(ascii: "]")) }

    private mutating func goesOn(until bracket: UInt8) throws(JSONError) -> Bool {
        let byte = try peek()
        if byte == bracket {
            // After a comma something must follow; commas are consumed below, together with what follows.
            close()
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
}
