import JSON
import SeededRandom

/// Makes values, spells them in one of their many ways, and spoils what was spelt.
struct RandomDocuments {
    private static let scalars: [Unicode.Scalar] =
        Array("abcXYZ0189 /'.:-_\"\\\u{8}\t\n\u{C}\r\0\u{1F}\u{7F}\u{80}éßΩж\u{301}\u{7FF}\u{800}存证€".unicodeScalars)
        + ["\u{2028}", "\u{D7FF}", "\u{E000}", "\u{FB33}", "\u{FEFF}", "\u{FFFF}", "\u{10000}", "😀", "\u{10FFFF}"]
    private static let shortEscapes: [Unicode.Scalar: String] = [
        "\"": #"\""#, "\\": #"\\"#, "/": #"\/"#, "\u{8}": #"\b"#, "\t": #"\t"#, "\n": #"\n"#, "\u{C}": #"\f"#,
        "\r": #"\r"#,
    ]
    /// What is put into documents to spoil them: parts of JSON, and bytes that are none.
    private static let splinters: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "-", "0", "1", ".5", "e1", "true", "null", "NaN", "\\u",
            "\\ud83d", "\\ude00", "\u{FEFF}", " ", "\n", "\0", "é", "9007199254740992", "\"a\":1,", "[[[[[[[[",
        ].map { Array($0.utf8) }
        + [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]

    private var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    private mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func value(depth: Int = JSONReader.maximumDepth) -> JSONValue {
        switch Int.random(in: 0..<(depth == 0 ? 5 : 9), using: &random) {
        case 0: return .null
        case 1: return .bool(chance(2))
        case 2: return .int(Int64.random(in: -20...20, using: &random))
        case 3:
            let magnitude = JSONValue.maximumInteger >> Int64.random(in: 0...52, using: &random)
            return .int(chance(2) ? -magnitude : magnitude)
        case 4: return .string(string())
        case 5, 6: return .array((0..<size()).map { _ in value(depth: depth - 1) })
        default:
            var names: Set<[UInt8]> = []
            var members: [JSONMember] = []
            for _ in 0..<size() {
                let name = string()
                guard names.insert(Array(name.utf8)).inserted else { continue }
                members.append(JSONMember(name: name, value: value(depth: depth - 1)))
            }
            return .object(members)
        }
    }

    private mutating func size() -> Int { Int.random(in: 0...(chance(20) ? 24 : 3), using: &random) }

    private mutating func string() -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            text.unicodeScalars.append(RandomDocuments.scalars.randomElement(using: &random) ?? "a")
        }
        return text
    }

    /// One of the spellings of a value: members in its order, white space and escapes as it falls.
    mutating func spelling(of value: JSONValue) -> [UInt8] {
        var text: [UInt8] = []
        space(&text)
        switch value {
        case .null, .bool, .int: text += value.canonicalBytes
        case .string(let string): spell(string, into: &text)
        case .array(let elements):
            text.append(UInt8(ascii: "["))
            for (position, element) in elements.enumerated() {
                if position > 0 { text.append(UInt8(ascii: ",")) }
                text += spelling(of: element)
            }
            if elements.isEmpty { space(&text) }
            text.append(UInt8(ascii: "]"))
        case .object(let members):
            text.append(UInt8(ascii: "{"))
            for (position, member) in members.enumerated() {
                if position > 0 { text.append(UInt8(ascii: ",")) }
                text += spelling(of: .string(member.name))
                text.append(UInt8(ascii: ":"))
                text += spelling(of: member.value)
            }
            if members.isEmpty { space(&text) }
            text.append(UInt8(ascii: "}"))
        }
        space(&text)
        return text
    }

    private mutating func space(_ text: inout [UInt8]) {
        while chance(5) { text.append([0x20, 0x09, 0x0A, 0x0D].randomElement(using: &random) ?? 0x20) }
    }

    private mutating func spell(_ string: String, into text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for scalar in string.unicodeScalars {
            let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
            if let short = RandomDocuments.shortEscapes[scalar], chance(2) {
                text += Array(short.utf8)
            } else if mustEscape || chance(6) {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: chance(2))
                    text += Array((#"\u"# + String(repeating: "0", count: 4 - digits.utf8.count) + digits).utf8)
                }
            } else {
                text += Array(String(scalar).utf8)
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    /// The document with one to three small changes; most are no JSON any more.
    mutating func spoilt(_ document: [UInt8]) -> [UInt8] {
        var bytes = document
        for _ in 0...Int.random(in: 0...2, using: &random) {
            let start = Int.random(in: 0...bytes.count, using: &random)
            let end = Int.random(in: start...min(start + 3, bytes.count), using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes.removeSubrange(start..<end)
            case 1: bytes.insert(contentsOf: bytes[start..<end], at: start)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: start)
            case 3 where start < bytes.count: bytes[start] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            default:
                let splinter = RandomDocuments.splinters.randomElement(using: &random) ?? []
                bytes.insert(contentsOf: splinter, at: start)
            }
        }
        return bytes
    }
}
