/// Reading values as the canonical text they have, without making anything else of them.
extension JSONReader {
    /// Reads an object of any spelling as its canonical text.
    ///
    /// - Parameter limit: how long the text may be in bytes. What is longer is refused before it is sorted, which costs
    ///   more than reading.
    public mutating func objectText(limit: Int = .max) throws(JSONError) -> JSONObjectText {
        textLimit = limit
        guard try peek() == UInt8(ascii: "{") else { throw JSONError(.wrongType, at: position) }
        var text: [UInt8] = []
        text.reserveCapacity(min(bytes.count - position, 256))
        var members: [JSONObjectText.Member] = []
        try canonicalObject(into: &text, &members)
        return JSONObjectText(bytes: text, members: members)
    }

    private mutating func canonicalValue(into text: inout [UInt8]) throws(JSONError) {
        switch try peek() {
        case UInt8(ascii: "{"):
            var members: [JSONObjectText.Member] = []
            try canonicalObject(into: &text, &members)
        case UInt8(ascii: "["): try canonicalArray(into: &text)
        case UInt8(ascii: "\""): try canonicalString(into: &text)
        case UInt8(ascii: "t"): try canonicalLiteral("true", into: &text)
        case UInt8(ascii: "f"): try canonicalLiteral("false", into: &text)
        case UInt8(ascii: "n"): try canonicalLiteral("null", into: &text)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            // The only spelling `int` accepts is the canonical one.
            let start = position
            _ = try int()
            text.append(contentsOf: bytes[start..<position])
        default: throw JSONError(.unexpectedByte, at: position)
        }
    }

    private mutating func canonicalLiteral(_ word: StaticString, into text: inout [UInt8]) throws(JSONError) {
        let start = position
        try literal(word)
        text.append(contentsOf: bytes[start..<position])
    }

    private mutating func canonicalString(into text: inout [UInt8]) throws(JSONError) {
        if let range = try plainString() {
            // Without escapes a string has one spelling.
            text.append(contentsOf: bytes[range.lowerBound - 1..<range.upperBound + 1])
        } else {
            JSONWriter.append(quoted: try escapedString(), to: &text)
        }
    }

    private mutating func canonicalArray(into text: inout [UInt8]) throws(JSONError) {
        try open(UInt8(ascii: "["))
        text.append(UInt8(ascii: "["))
        if try peek() != UInt8(ascii: "]") {
            elements: while true {
                try canonicalValue(into: &text)
                switch try peek() {
                case UInt8(ascii: ","):
                    position += 1
                    text.append(UInt8(ascii: ","))
                case UInt8(ascii: "]"): break elements
                default: throw JSONError(.unexpectedByte, at: position)
                }
            }
        }
        close()
        text.append(UInt8(ascii: "]"))
    }

    private mutating func canonicalObject(
        into text: inout [UInt8],
        _ members: inout [JSONObjectText.Member]
    ) throws(JSONError) {
        let start = position
        try open(UInt8(ascii: "{"))
        text.append(UInt8(ascii: "{"))
        var isAscending = true
        if try peek() != UInt8(ascii: "}") {
            members: while true {
                guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
                let open = text.count
                try canonicalString(into: &text)
                let name = open + 1..<text.count - 1
                if isAscending, let last = members.last {
                    isAscending = JSONReader.precedes(text, last.name, name)
                }
                guard try peek() == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: position) }
                position += 1
                text.append(UInt8(ascii: ":"))
                let value = text.count
                try canonicalValue(into: &text)
                members.append(JSONObjectText.Member(name: name, value: value..<text.count))
                guard text.count <= textLimit else { throw JSONError(.tooLong, at: start) }
                switch try peek() {
                case UInt8(ascii: ","):
                    position += 1
                    text.append(UInt8(ascii: ","))
                case UInt8(ascii: "}"): break members
                default: throw JSONError(.unexpectedByte, at: position)
                }
            }
        }
        close()
        // Names that ascend strictly are in order and different.
        if !isAscending { try sort(&members, in: &text, objectAt: start) }
        text.append(UInt8(ascii: "}"))
    }

    /// Puts the members of the object at the end of `text` into canonical order.
    private func sort(
        _ members: inout [JSONObjectText.Member],
        in text: inout [UInt8],
        objectAt start: Int
    ) throws(JSONError) {
        guard let first = members.first else { return }
        // The members alone are copied: a list of many objects would else be copied for each of them.
        let begin = first.name.lowerBound - 1
        let unsorted = Array(text[begin...])
        text.removeSubrange(begin...)
        let rest = JSONReader.sorted(members.map { $0.moved(by: -begin) }, unsorted)
        for (member, next) in zip(rest, rest.dropFirst()) where unsorted[member.name] == unsorted[next.name] {
            throw JSONError(.duplicateName, at: start)
        }
        members.removeAll(keepingCapacity: true)
        for member in rest {
            if !members.isEmpty { text.append(UInt8(ascii: ",")) }
            members.append(member.moved(by: text.count + 1 - member.name.lowerBound))
            text.append(contentsOf: unsorted[member.name.lowerBound - 1..<member.value.upperBound])
        }
    }

    private static func sorted(_ members: [JSONObjectText.Member], _ text: [UInt8]) -> [JSONObjectText.Member] {
        let names = text.span
        if members.allSatisfy({ isPlain(names.extracting($0.name)) }) {
            return members.sorted { precedes(text, $0.name, $1.name) }
        }
        // Each name is resolved once, not for each comparison.
        return members.map { (member: $0, name: Array(unescaped(text, $0.name).utf16)) }
            .sorted { $0.name.lexicographicallyPrecedes($1.name) }
            .map(\.member)
    }

    /// Whether one name comes strictly before another in the order of RFC 8785; both are canonical text.
    private static func precedes(_ text: [UInt8], _ left: Range<Int>, _ right: Range<Int>) -> Bool {
        let names = text.span
        // Plain ASCII, as all names of the format are, sorts by its bytes.
        if isPlain(names.extracting(left)), isPlain(names.extracting(right)) {
            return text[left].lexicographicallyPrecedes(text[right])
        }
        return JSONWriter.precedes(unescaped(text, left), unescaped(text, right))
    }

    private static func isPlain(_ name: Span<UInt8>) -> Bool {
        for position in name.indices where name[position] >= 0x80 || name[position] == UInt8(ascii: "\\") {
            return false
        }
        return true
    }

    private static func unescaped(_ text: [UInt8], _ name: Range<Int>) -> String {
        (try? JSONReader.parse(Array(text[name.lowerBound - 1..<name.upperBound + 1])))?.string ?? ""
    }
}
