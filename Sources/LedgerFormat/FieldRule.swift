public import JSON
import Merkle

/// What a field's value may be.
public enum FieldRule: Sendable, Equatable {
    /// One of a closed list of words.
    case code([String])
    /// A list of 1 to 64 different words of a closed list.
    case codes([String])
    /// Text of a closed pattern.
    case pattern(TextPattern)
    case integer(ClosedRange<Int64>)
    case boolean
    /// RFC 3339 UTC with six fraction digits.
    case time
    /// The index of an earlier entry that is cited.
    case index
    /// A list of 1 to 64 indexes of earlier entries.
    case indexes
    /// 32 lower-case hex digits.
    case id
    /// A list of 1 to 64 streams, `kind/ID`.
    case streamList
    /// 64 lower-case hex digits.
    case digest
    /// 32 bytes in base64.
    case hash
    /// 64 bytes in base64.
    case signature
    /// Free text of at most this many bytes, for claims only.
    case text(Int)

    /// The rule as it stands in messages and in ledger-format.md; reads on after "must be".
    public var summary: String {
        switch self {
        case .code(let words): "one of " + words.joined(separator: ", ")
        case .codes(let words): "a list of different words of " + words.joined(separator: ", ")
        case .pattern(let pattern): pattern.summary
        case .integer(let range): "an integer from \(range.lowerBound) to \(range.upperBound)"
        case .boolean: "true or false"
        case .time: "a time such as 2026-01-02T03:04:05.000006Z"
        case .index: "the index of an earlier entry"
        case .indexes: "a list of 1 to 64 indexes of earlier entries"
        case .id: "32 lower-case hex digits"
        case .streamList: "a list of 1 to 64 streams, kind/ID"
        case .digest: "64 lower-case hex digits"
        case .hash: "32 bytes in base64"
        case .signature: "64 bytes in base64"
        case .text(let bytes): "text of 1 to \(bytes) bytes"
        }
    }

    /// Whether a value keeps the rule.
    public func allows(_ value: JSONValue) -> Bool {
        switch (self, value) {
        case (_, .string(let text)): allows(text: text.utf8.span)
        case (.codes(let words), .array(let values)):
            FieldRule.areDistinct(values) && values.allSatisfy { FieldRule.code(words).allows($0) }
        case (.integer(let range), .int(let number)): range.contains(number)
        case (.boolean, .bool): true
        case (.index, .int(let number)): number >= 0
        case (.indexes, .array(let values)):
            FieldRule.areDistinct(values) && values.allSatisfy { FieldRule.index.allows($0) }
        case (.streamList, .array(let values)):
            FieldRule.areDistinct(values) && values.allSatisfy { $0.string.flatMap { StreamID($0) } != nil }
        default: false
        }
    }

    /// Whether a value given as canonical JSON keeps the rule.
    func allows(canonical value: Span<UInt8>) -> Bool {
        guard value.count >= 2, value[0] == UInt8(ascii: "\"") else { return allowsParsed(value) }
        let text = value.extracting(1..<value.count - 1)
        for position in text.indices where text[position] == UInt8(ascii: "\\") { return allowsParsed(value) }
        return allows(text: text)
    }

    private func allowsParsed(_ value: Span<UInt8>) -> Bool {
        let bytes = value.withUnsafeBufferPointer { Array($0) }
        return (try? JSONReader.parse(bytes)).map { allows($0) } ?? false
    }

    /// Whether a text, without quotes and escapes, keeps the rule.
    private func allows(text: Span<UInt8>) -> Bool {
        switch self {
        case .code(let words): words.contains { $0.utf8.isSame(as: text) }
        case .pattern(let pattern): pattern.matches(text)
        case .time: LedgerTime(utf8: text) != nil
        case .id: ID128(digits: text) != nil
        case .digest: Digest(hexDigits: text) != nil
        case .hash: Digest(base64: text) != nil
        case .signature: FieldRule.isSignature(text)
        case .text(let limit): 1...limit ~= text.count
        case .codes, .integer, .boolean, .index, .indexes, .streamList: false
        }
    }

    private static func areDistinct(_ values: [JSONValue]) -> Bool {
        guard 1...64 ~= values.count else { return false }
        return values.indices.allSatisfy { position in !values[..<position].contains(values[position]) }
    }

    private static func isSignature(_ text: Span<UInt8>) -> Bool {
        // The length first, so that no long text is decoded.
        guard text.count == 88 else { return false }
        return Base64.decode(text.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) })?.count == 64
    }
}
