/// Why a query can't be read: which field of it is wrong, and what it would have to be.
public struct HTTPQueryError: Error, Sendable, Equatable {
    /// The field's name; `query` for what belongs to none.
    public let field: String
    /// Such as `must be given`.
    public let rule: String

    /// - Parameters:
    ///   - field: which field, or `query`.
    ///   - rule: what it would have to be; reads on after its name.
    public init(field: String, rule: String) {
        self.field = field
        self.rule = rule
    }
}

/// The query of a target, read strictly: fields `name=value` with `&` between them, in the characters of RFC 3986
/// section 3.4, where `%` and two hex digits stand for a byte. A plus sign has to be `%2B` and a blank `%20`: to some a
/// bare plus sign is one, to others the other. Each field is known, and there once.
public struct HTTPQuery: Sendable {
    private struct Field {
        let name: [UInt8]
        let value: [UInt8]
    }

    private let fields: [Field]

    /// - Parameters:
    ///   - query: what stands behind the question mark; nil is as good as empty.
    ///   - known: which fields there may be, in visible ASCII.
    /// - Throws: `HTTPQueryError` for what has not the form, an unknown field, or one that is there twice.
    public init(_ query: String?, known: [String]) throws(HTTPQueryError) {
        var fields: [Field] = []
        let text = Array((query ?? "").utf8)
        for part in text.isEmpty ? [] : text.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else {
                throw HTTPQueryError(field: "query", rule: "must be name=value, with & between fields")
            }
            guard let name = HTTPQuery.decode(part[..<equals]),
                let field = known.first(where: { $0.utf8.elementsEqual(name) })
            else {
                let rule = known.isEmpty ? "must be empty" : "must hold only \(known.joined(separator: ", "))"
                throw HTTPQueryError(field: "query", rule: rule)
            }
            guard let value = HTTPQuery.decode(part[(equals + 1)...]) else {
                let rule = "must be in characters of RFC 3986, + as %2B, others as % and two hex digits a byte"
                throw HTTPQueryError(field: field, rule: rule)
            }
            guard !fields.contains(where: { $0.name == name }) else {
                throw HTTPQueryError(field: field, rule: "must be given once")
            }
            fields.append(Field(name: name, value: value))
        }
        self.fields = fields
    }

    /// The bytes of a field, nil where it is not there.
    public func bytes(_ name: String) -> [UInt8]? {
        fields.first { $0.name.elementsEqual(name.utf8) }?.value
    }

    /// The text of a field, nil where it is not there.
    ///
    /// - Throws: `HTTPQueryError` where it is no UTF-8.
    public func text(_ name: String) throws(HTTPQueryError) -> String? {
        guard let bytes = bytes(name) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw HTTPQueryError(field: name, rule: "must be UTF-8")
        }
        return text
    }

    /// The text of a field that has to be there.
    ///
    /// - Throws: `HTTPQueryError` where it is not, or no UTF-8.
    public func requiredText(_ name: String) throws(HTTPQueryError) -> String {
        guard let text = try text(name) else { throw HTTPQueryError(field: name, rule: "must be given") }
        return text
    }

    /// The number of a field, in decimal digits without a zero in front; nil where it is not there.
    ///
    /// - Throws: `HTTPQueryError` for what is none, or not in the range.
    public func number(_ name: String, in range: ClosedRange<UInt64>) throws(HTTPQueryError) -> UInt64? {
        guard let bytes = bytes(name) else { return nil }
        let isDecimal =
            !bytes.isEmpty && bytes.allSatisfy { 0x30...0x39 ~= $0 } && (bytes.count == 1 || bytes[0] != 0x30)
        guard isDecimal, let number = UInt64(String(decoding: bytes, as: UTF8.self)), range.contains(number) else {
            throw HTTPQueryError(
                field: name,
                rule: "must be an integer from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    /// `true` or `false`; nil where the field is not there.
    ///
    /// - Throws: `HTTPQueryError` for anything else.
    public func flag(_ name: String) throws(HTTPQueryError) -> Bool? {
        guard let bytes = bytes(name) else { return nil }
        if bytes.elementsEqual("true".utf8) { return true }
        if bytes.elementsEqual("false".utf8) { return false }
        throw HTTPQueryError(field: name, rule: "must be true or false")
    }

    private static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                guard isPlain(byte) else { return nil }
                bytes.append(byte)
            }
        }
        return bytes
    }

    /// Whether a byte stands for itself: `pchar`, `/` and `?`, without the plus sign.
    private static func isPlain(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x61...0x7A ~= byte | 0x20 || "-._~!$'()*,;=:@/?".utf8.contains(byte)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46, 0x61...0x66: (byte | 0x20) - 0x61 + 10
        default: nil
        }
    }
}
