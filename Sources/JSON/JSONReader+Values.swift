/// Values as trees, and objects and arrays by closures: no name may occur twice.
extension JSONReader {
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
        try eachMember { (name, reader) throws(JSONError) in try member(reader.resolved(name), &reader) }
    }

    /// Reads an array, calling `element` with the reader standing before each element, which the closure must consume.
    public mutating func array(_ element: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        try beginArray()
        while try nextElement() { try element(&self) }
    }

    /// Passes over one value of any kind, checking it as strictly as if it were read, and returns where it stood.
    public mutating func skip() throws(JSONError) -> Range<Int> {
        skipWhitespace()
        let start = position
        try skipValue()
        return start..<position
    }

    private mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case UInt8(ascii: "{"): try eachMember { (_, reader) throws(JSONError) in try reader.skipValue() }
        case UInt8(ascii: "["):
            try beginArray()
            while try nextElement() { try skipValue() }
        case UInt8(ascii: "\""): if try plainString() == nil { _ = try escapedString() }
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"): try literal("null")
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): _ = try int()
        default: throw JSONError(.unexpectedByte, at: position)
        }
    }

    /// Members an object may have whose names are compared with each other; past them a set keeps hostile input linear.
    private static let fewNames = 16

    /// Reads an object and refuses names seen twice; names are compared by their bytes, for `String` calls some equal
    /// that differ in normalisation.
    @inline(__always)
    private mutating func eachMember(
        _ member: (Name, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try beginObject()
        let first = names.count
        defer { names.removeLast(names.count - first) }
        // Names of large objects, and all of those with escapes; nil while there are none.
        var many: Set<[UInt8]>?
        while let name = try nextName() {
            let isSeen: Bool
            if many == nil, !name.hasEscapes, names.count - first < JSONReader.fewNames {
                isSeen = names[first...].contains { isSame($0.range, name.range) }
                names.append(name)
            } else {
                var others = many ?? Set(names[first...].map { Array(bytes[$0.range]) })
                many = nil
                isSeen = !others.insert(Array(resolved(name).utf8)).inserted
                many = others
            }
            guard !isSeen else { throw JSONError(.duplicateName, at: name.range.lowerBound - 1) }
            try member(name, &self)
        }
    }

    private func isSame(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        for offset in 0..<left.count where bytes[left.lowerBound + offset] != bytes[right.lowerBound + offset] {
            return false
        }
        return true
    }
}
