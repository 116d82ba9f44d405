/// Writes RFC 8785 (JCS) canonical JSON into a byte array.
///
/// `value(_:)` sorts members itself. The piecewise calls (`beginObject`, `name`, …) are for hot paths that know the
/// order beforehand; they put commas where they belong and trust the caller with the order.
public struct JSONWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]
    private var needsComma = false

    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// A writer that goes on behind bytes that are no part of the JSON.
    public init(after head: [UInt8]) {
        bytes = head
    }

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Writes a member name and its colon.
    public mutating func name(_ name: String) {
        separate()
        quoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    public mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    public mutating func int(_ value: Int64) {
        separate()
        JSONWriter.append(value, to: &bytes)
    }

    public mutating func string(_ value: String) {
        separate()
        quoted(value)
    }

    /// Writes a string given as UTF-8.
    public mutating func string(utf8 value: Span<UInt8>) {
        separate()
        JSONWriter.append(quoted: value, to: &bytes)
    }

    /// Writes a string whose text `append` adds; the text must need no escapes, as ids, times and base64 don't.
    public mutating func plainString(_ append: (inout [UInt8]) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(&bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes a member name whose text `append` adds; it must need no escapes.
    public mutating func plainName(_ append: (inout [UInt8]) -> Void) {
        plainString(append)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Forgets what was written and keeps the room for it.
    public mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Writes bytes that are already one canonical JSON value.
    public mutating func raw(_ value: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: value)
    }

    /// Writes any value, members sorted by UTF-16 code units (RFC 8785 section 3.2.3).
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let flag): bool(flag)
        case .int(let number): int(number)
        case .string(let text): string(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members): object(members)
        }
    }

    /// Writes an object, its members sorted.
    public mutating func object(_ members: [JSONMember]) {
        beginObject()
        let isSorted = zip(members, members.dropFirst()).allSatisfy { JSONWriter.precedes($0.name, $1.name) }
        let sorted = isSorted ? members : members.sorted { JSONWriter.precedes($0.name, $1.name) }
        for member in sorted {
            name(member.name)
            value(member.value)
        }
        endObject()
    }

    /// The JCS member order: comparison of UTF-16 code units, not of code points.
    public static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf16.lexicographicallyPrecedes(right.utf16)
    }

    /// Appends a number as JSON.
    public static func append(_ value: Int64, to bytes: inout [UInt8]) {
        var magnitude = value.magnitude
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var first = digits.count
            repeat {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
                magnitude /= 10
            } while magnitude > 0
            bytes.append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[first...]))
        }
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func quoted(_ value: String) { JSONWriter.append(quoted: value, to: &bytes) }

    /// Appends a string as JSON, between its quotes.
    public static func append(quoted value: String, to bytes: inout [UInt8]) {
        append(quoted: value.utf8.span, to: &bytes)
    }

    /// Appends a string given as UTF-8.
    public static func append(quoted text: Span<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        text.withUnsafeBufferPointer { text in
            var run = 0
            for position in 0..<text.count {
                let byte = text[position]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[run..<position]))
                append(escaped: byte, to: &bytes)
                run = position + 1
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[run...]))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// RFC 8785 section 3.2.2.2: two-character escapes where they exist, lower-case \u00xx otherwise.
    private static func append(escaped byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        default:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        }
    }
}
