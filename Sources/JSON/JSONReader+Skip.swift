/// Passing over values without making anything of them.
extension JSONReader {
    /// Passes over the value the reader stands before.
    ///
    /// - Parameter names: where the names of the objects that are open stand, innermost last; one list for the whole
    ///   value, so that a message costs one allocation and not one for each object.
    mutating func skipValue(_ names: inout [Range<Int>]) throws(JSONError) {
        switch try peek() {
        case UInt8(ascii: "{"): try skipObject(&names)
        case UInt8(ascii: "["): try skipArray(&names)
        case UInt8(ascii: "\""): if try plainString() == nil { _ = try escapedString() }
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): _ = try int()
        default: throw JSONError(.unexpectedByte, at: position)
        }
    }

    private mutating func skipArray(_ names: inout [Range<Int>]) throws(JSONError) {
        try open(UInt8(ascii: "["))
        if try peek() == UInt8(ascii: "]") { return close() }
        while true {
            try skipValue(&names)
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"): return close()
            default: throw JSONError(.unexpectedByte, at: position)
            }
        }
    }

    private mutating func skipObject(_ names: inout [Range<Int>]) throws(JSONError) {
        let first = names.count
        defer { names.removeLast(names.count - first) }
        // Names with escapes, and those of large objects, are compared as read; nil while there are none.
        var many: Set<[UInt8]>?
        try open(UInt8(ascii: "{"))
        if try peek() == UInt8(ascii: "}") { return close() }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: position) }
            let quote = position
            let plain = try plainString()
            if let plain, many == nil, names.count - first < 16 {
                for known in names[first...] where isSame(known, plain) { throw JSONError(.duplicateName, at: quote) }
                names.append(plain)
            } else {
                let name = if let plain { Array(bytes[plain]) } else { Array(try escapedString().utf8) }
                if many == nil { many = Set(names[first...].map { Array(bytes[$0]) }) }
                guard many?.insert(name).inserted == true else { throw JSONError(.duplicateName, at: quote) }
            }
            guard try peek() == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: position) }
            position += 1
            try skipValue(&names)
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"): return close()
            default: throw JSONError(.unexpectedByte, at: position)
            }
        }
    }

    private func isSame(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        left.count == right.count && bytes[left].elementsEqual(bytes[right])
    }
}
