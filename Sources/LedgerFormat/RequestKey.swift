/// A submitter's idempotency key: a UUID (RFC 9562) in its lower-case hyphenated form. Version 7 is advised, because
/// its leading bits grow with time and the index of keys then stays dense.
public struct RequestKey: Hashable, Sendable, CustomStringConvertible {
    public let value: ID128

    public init(value: ID128) {
        self.value = value
    }

    /// Parses exactly 8-4-4-4-12 lower-case hex digits.
    public init?(_ text: some StringProtocol) {
        self.init(utf8: Array(text.utf8)[...])
    }

    /// Parses exactly 8-4-4-4-12 lower-case hex digits given as ASCII.
    public init?<Bytes: RandomAccessCollection<UInt8>>(utf8 text: Bytes) where Bytes.Index == Int {
        guard text.count == 36 else { return nil }
        let start = text.startIndex
        for hyphen in [8, 13, 18, 23] where text[start + hyphen] != UInt8(ascii: "-") { return nil }
        guard let value = ID128(digits: text.lazy.filter { $0 != UInt8(ascii: "-") }) else { return nil }
        self.value = value
    }

    /// Appends the text form.
    public func append(to text: inout [UInt8]) {
        let start = text.count
        value.appendDigits(to: &text)
        for hyphen in [8, 13, 18, 23] { text.insert(UInt8(ascii: "-"), at: start + hyphen) }
    }

    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
