import JSON
import LedgerFormat

/// Values that keep or break a rule, at its limits and one beyond.
struct RuleSamples {
    private(set) var allowed: [JSONValue] = []
    private(set) var refused: [JSONValue] = []

    private static let largest: Int64 = 9_007_199_254_740_991
    private static let id = "0123456789abcdef0123456789abcdef"
    /// SHA-256 of "abc" (FIPS 180-4), in hex and base64.
    private static let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    /// The signature of RFC 8032 section 7.1, test 1.
    private static let signature =
        "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="

    /// One value of each type of JSON, and what none of the rules for strings allows.
    private static let ofEachType: [JSONValue] = [
        .null, .bool(true), .int(0), .string("\u{1F} nothing allows this, text beyond its limit aside"), .array([]),
        .object([]),
    ]

    init(_ rule: FieldRule) {
        switch rule {
        case .code(let words):
            allowed = words.map { .string($0) }
            refused = RuleSamples.ofEachType + [.string(""), .string(words[0] + "x"), .array([.string(words[0])])]
        case .codes(let words):
            allowed = [.array([.string(words[0])]), .array(words.prefix(64).map { .string($0) })]
            refused =
                RuleSamples.ofEachType + [
                    .string(words[0]), .array([.string("no such word")]), .array([.int(1)]),
                    .array([.string(words[0]), .string(words[0])]),
                ]
        case .pattern(let pattern):
            let samples = PatternSamples(pattern)
            allowed = samples.allowed.map { .string($0) }
            refused = RuleSamples.ofEachType + samples.refused.map { .string($0) }
        case .integer(let range):
            allowed = [.int(range.lowerBound), .int(range.upperBound)]
            refused = RuleSamples.ofEachType.filter { $0.int == nil }
            refused += [.int(range.lowerBound - 1), .int(range.upperBound + 1), .string("\(range.lowerBound)")]
        case .boolean:
            allowed = [.bool(true), .bool(false)]
            refused = RuleSamples.ofEachType.filter { $0.bool == nil } + [.int(1), .string("true")]
        case .time:
            allowed = ["2026-01-02T03:04:05.000006Z", "1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
                .map { .string($0) }
            refused =
                RuleSamples.ofEachType
                + ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000006+00:00", "2026-02-29T00:00:00.000000Z"]
                .map { .string($0) }
        case .index:
            allowed = [.int(0), .int(RuleSamples.largest)]
            refused = RuleSamples.ofEachType.filter { $0.int == nil } + [.int(-1), .string("1")]
        case .indexes:
            allowed = [.array([.int(0)]), .array((0..<64).map { .int($0) })]
            refused =
                RuleSamples.ofEachType + [
                    .array([.int(-1)]), .array([.int(7), .int(7)]), .array([.string("1")]),
                    .array((0..<65).map { .int($0) }),
                ]
        case .id:
            allowed = [.string(RuleSamples.id)]
            refused = RuleSamples.ofEachType + RuleSamples.misspelt(RuleSamples.id)
        case .streamList:
            allowed = [
                .array([.string("contract/" + RuleSamples.id)]),
                .array((10..<74).map { .string("object/\($0)" + RuleSamples.id.dropFirst(2)) }),
            ]
            refused =
                RuleSamples.ofEachType + [
                    .string("contract/" + RuleSamples.id), .array([.string(RuleSamples.id)]),
                    .array([.string("nothing/" + RuleSamples.id)]),
                    .array((0..<2).map { _ in .string("contract/" + RuleSamples.id) }),
                    .array((10..<75).map { .string("object/\($0)" + RuleSamples.id.dropFirst(2)) }),
                ]
        case .digest:
            allowed = [.string(RuleSamples.hex)]
            refused = RuleSamples.ofEachType + RuleSamples.misspelt(RuleSamples.hex) + [.string(RuleSamples.base64)]
        case .hash:
            allowed = [.string(RuleSamples.base64)]
            refused =
                RuleSamples.ofEachType + [
                    .string(RuleSamples.hex), .string(RuleSamples.base64 + "="),
                    .string(String(RuleSamples.base64.dropLast())), .string("ungWv48="),
                    // Bits beyond the last byte.
                    .string(RuleSamples.base64.replacing("0=", with: "1=")),
                ]
        case .signature:
            allowed = [.string(RuleSamples.signature)]
            refused =
                RuleSamples.ofEachType + [
                    .string(RuleSamples.base64), .string(RuleSamples.signature + "="),
                    .string(String(RuleSamples.signature.dropLast())),
                    .string("\n" + RuleSamples.signature.dropFirst()),
                    // 65 and 66 bytes are 88 characters too.
                    .string(RuleSamples.signature.replacing("w==", with: "wA=")),
                    .string(RuleSamples.signature.replacing("w==", with: "wAA")),
                    // Bits beyond the last byte.
                    .string(RuleSamples.signature.replacing("w==", with: "x==")),
                ]
        case .text(let bytes):
            allowed = [.string("张"), .string(RuleSamples.repeated("x", bytes)), .string("a\nb")]
            refused = RuleSamples.ofEachType.filter { $0.string == nil }
            refused += [.string(""), .string(RuleSamples.repeated("x", bytes + 1))]
            refused.append(.string(RuleSamples.repeated("é", bytes / 2 + 1)))
        }
    }

    private static func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    private static func misspelt(_ hex: String) -> [JSONValue] {
        [hex.uppercased(), hex + "0", String(hex.dropLast()), "g" + hex.dropFirst(), "", "0x" + hex.dropFirst(2)]
            .map { .string($0) }
    }
}
