/// A submitter's idempotency key: a UUID (RFC 9562) in its lower-case hyphenated form. Version 7 is advised, because
/// its leading bits grow with time and the index of keys then stays dense.
public struct RequestKey: Hashable, Sendable, CustomStringConvertible {
    public let value: ID128

    public init(value: ID128) {
        self.value = value
    }

    /// Parses exactly 8-4-4-4-12 lower-case hex digits.
    public init?(_ text: some StringProtocol) {
        let utf8 = Array(text.utf8)
        guard utf8.count == 36 else { return nil }
        for hyphen in [8, 13, 18, 23] where utf8[hyphen] != UInt8(ascii: "-") { return nil }
        let digits = utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 32, let value = ID128(String(decoding: digits, as: UTF8.self)) else { return nil }
        self.value = value
    }

    public var description: String {
        var text = Array(value.description.utf8)
        for hyphen in [20, 16, 12, 8] { text.insert(UInt8(ascii: "-"), at: hyphen) }
        return String(decoding: text, as: UTF8.self)
    }
}
