/// A JSON document as evidenced understands it: integers only, no floating point (RFC 8259 narrowed by
/// `ledger-format.md` section 2).
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// An integer with |n| ≤ 2^53 − 1, the range every JSON implementation represents exactly (RFC 7493 section 2.2).
    case int(Int64)
    case string(String)
    case array([JSONValue])
    /// Members in document order; the reader guarantees unique names.
    case object([JSONMember])

    /// The largest magnitude an integer may have: 2^53 − 1.
    public static let maximumInteger: Int64 = 9_007_199_254_740_991

    /// An object from names and values, in the order given; canonical output sorts them.
    public static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { JSONMember(name: $0.key, value: $0.value) })
    }

    /// The value of the member `name`, or nil where there is none or this is not an object.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// Texts are equal where their bytes are; `String` would call those equal that differ only in normalisation.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.int(let left), .int(let right)): left == right
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }

    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var int: Int64? {
        if case .int(let value) = self { value } else { nil }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    public var object: [JSONMember]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The RFC 8785 (JCS) encoding: no whitespace, members sorted by UTF-16 code units, UTF-8.
    public var canonicalBytes: [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}

/// One name and value of a JSON object.
public struct JSONMember: Equatable, Sendable {
    public var name: String
    public var value: JSONValue

    public init(name: String, value: JSONValue) {
        self.name = name
        self.value = value
    }

    public static func == (left: JSONMember, right: JSONMember) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8) && left.value == right.value
    }
}
