/// Reading values as the canonical text they have (RFC 8785), without making anything else of them.
extension JSONReader {
    /// Reads an object of any spelling as its canonical text.
    ///
    /// - Parameter limit: how long the text may be in bytes. What is longer is refused before it is sorted, which costs
    ///   more than reading.
    public mutating func objectText(limit: Int = .max) throws(JSONError) -> JSONObjectText {
        var text: [UInt8] = []
        text.reserveCapacity(min(bytes.count - position, 256))
        var members: [JSONObjectText.Member] = []
        try objectText(limit: limit, into: &text, &members)
        return JSONObjectText(bytes: text, members: members)
    }

    /// Reads an object of any spelling and appends its canonical text, and where its members stand in that.
    ///
    /// - Parameters:
    ///   - limit: how long the object's text may be in bytes.
    ///   - text: takes the text.
    ///   - members: takes the members, in the order of the text; their places are counted from the beginning of `text`.
    /// - Throws: `JSONError`; text and members may then have been added to.
    public mutating func objectText(
        limit: Int = .max,
        into text: inout [UInt8],
        _ members: inout [JSONObjectText.Member]
    ) throws(JSONError) {
        let end = limit < .max - text.count ? text.count + limit : .max
        try canonicalObject(into: &text, &members, end)
    }

    /// - Parameters:
    ///   - members: a stack: an object within this one takes its own off again.
    ///   - end: where the text must end.
    private mutating func canonicalValue(
        into text: inout [UInt8],
        _ members: inout [JSONObjectText.Member],
        _ end: Int
    ) throws(JSONError) {
        switch try peek() {
        case UInt8(ascii: "{"):
            let first = members.count
            try canonicalObject(into: &text, &members, end)
            members.removeLast(members.count - first)
        case UInt8(ascii: "["):
            try beginArray()
            text.append(UInt8(ascii: "["))
            var isFirst = true
            while try nextElement() {
                if !isFirst { text.append(UInt8(ascii: ",")) }
                isFirst = false
                try canonicalValue(into: &text, &members, end)
            }
            text.append(UInt8(ascii: "]"))
        case UInt8(ascii: "\""):
            if let plain = try plainString() {
                // Without escapes a string has one spelling.
                text.append(contentsOf: bytes[plain.lowerBound - 1..<plain.upperBound + 1])
            } else {
                JSONWriter.append(quoted: try escapedString(), to: &text)
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"):
            // The only spelling that is accepted of these is the canonical one.
            text.append(contentsOf: bytes[try skip()])
        default: throw JSONError(.unexpectedByte, at: position)
        }
    }

    private mutating func canonicalObject(
        into text: inout [UInt8],
        _ members: inout [JSONObjectText.Member],
        _ end: Int
    ) throws(JSONError) {
        try beginObject()
        let start = position - 1
        let first = members.count
        text.append(UInt8(ascii: "{"))
        var isAscending = true
        while let name = try nextName() {
            if members.count > first { text.append(UInt8(ascii: ",")) }
            let open = text.count
            if name.hasEscapes {
                JSONWriter.append(quoted: resolved(name), to: &text)
            } else {
                text.append(contentsOf: bytes[name.range.lowerBound - 1..<name.range.upperBound + 1])
            }
            let written = open + 1..<text.count - 1
            if isAscending, members.count > first {
                isAscending = JSONReader.precedes(text, members[members.count - 1].name, written)
            }
            text.append(UInt8(ascii: ":"))
            let value = text.count
            try canonicalValue(into: &text, &members, end)
            members.append(JSONObjectText.Member(name: written, value: value..<text.count))
            guard text.count <= end else { throw JSONError(.tooLong, at: start) }
        }
        // Names that ascend strictly are in order and different.
        if !isAscending { try sort(&members, from: first, in: &text, objectAt: start) }
        text.append(UInt8(ascii: "}"))
    }

    /// Puts the members of the object at the end of `text`, those from `first` on, into canonical order.
    private func sort(
        _ members: inout [JSONObjectText.Member],
        from first: Int,
        in text: inout [UInt8],
        objectAt start: Int
    ) throws(JSONError) {
        // The members alone are copied: a list of many objects would else be copied for each of them.
        let begin = members[first].name.lowerBound - 1
        let unsorted = Array(text[begin...])
        text.removeSubrange(begin...)
        let rest = JSONReader.sorted(members[first...].map { $0.moved(by: -begin) }, unsorted)
        for (member, next) in zip(rest, rest.dropFirst()) where unsorted[member.name] == unsorted[next.name] {
            throw JSONError(.duplicateName, at: start)
        }
        members.removeLast(members.count - first)
        for member in rest {
            if members.count > first { text.append(UInt8(ascii: ",")) }
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
}
