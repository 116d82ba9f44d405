import JSON
import Merkle
import Testing

@testable import LedgerFormat

/// The template of an entry and the strict reader of any JSON accept the same bytes and read the same from them.
@Suite("The template of entries")
struct EntryTemplateTests {
    private static let object = "object/019b76da4c0c00000000000000000002"
    private static let subject = "subject/0123456789abcdef0123456789abcdef"
    private static let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    private static let members: [(String, [String])] = [
        ("actor", [#""\#(subject)""#, #""system""#, #""contract/0123456789abcdef0123456789abcdef""#, "1"]),
        (
            "body",
            [
                #"{"product":"deposit"}"#, "{}", #"{"a":[1,{"b":"\\n"}],"é":null}"#, #"{"b":1,"a":2}"#, #"{"a": 1}"#,
                "[]", #"{"a":1.0}"#, #"{"a":"\u0041"}"#,
            ]
        ),
        (
            "claims",
            [
                #"{"\#(object)":{"sha256":"\#(zeros)","size":"\#(zeros)"},"\#(subject)":{"name":"\#(zeros)"}}"#, "{}",
                #"{"\#(object)":{}}"#, #"{"\#(object)":{"size":"\#(zeros)","sha256":"\#(zeros)"}}"#,
                #"{"\#(subject)":{"a":"\#(zeros)"},"\#(object)":{"b":"\#(zeros)"}}"#,
                #"{"\#(object)":{"a":"\#(zeros)"},"\#(subject)":{"a":"\#(zeros)"}}"#,
                #"{"\#(object)":{"é":"\#(zeros)"}}"#,
                #"{"\#(object)":{"":"\#(zeros)"}}"#,
                "{\"\(object)\":{" + (0..<65).map { "\"c\(100 + $0)\":\"\(zeros)\"" }.joined(separator: ",") + "}}",
            ]
        ),
        ("index", ["7", "0", "9007199254740991", "9007199254740992", "07", "-1", "-0", "7.0", "18446744073709551616"]),
        ("prev", [#""ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=""#, #""AAAA""#, "null"]),
        ("request", [#""019b76da-4c0c-7000-8000-000000000002""#, #""019B76DA-4C0C-7000-8000-000000000002""#]),
        (
            "streams",
            [
                #"[["\#(object)",0],["\#(subject)",41]]"#, "[]", #"[["\#(object)",0]]"#, #"[["\#(object)",00]]"#,
                #"[["\#(subject)",41],["\#(object)",0]]"#, #"[["\#(object)",0],["\#(object)",1]]"#,
                #"[["\#(object)",-1]]"#,
                "["
                    + (0..<17).map { "[\"object/019b76da4c0c000000000000000000\(10 + $0)\",0]" }.joined(separator: ",")
                    + "]",
            ]
        ),
        ("submitter", [#""shop""#, #""Shop""#, #""""#, #""shöp""#]),
        ("time", [#""2026-01-01T00:00:00.012345Z""#, #""2026-02-30T00:00:00.012345Z""#]),
        ("type", [#""evidence.deposited""#, #""thing.happened""#, #""""#, #""a\\"b""#, #""typé""#]),
        ("v", ["1", "2", "01"]),
    ]

    private static func text(_ position: Int, _ value: String) -> [UInt8] {
        let parts = members.enumerated().map { "\"\($1.0)\":\($0 == position ? value : $1.1[0])" }
        return Array("{\(parts.joined(separator: ","))}".utf8)
    }

    private func compare(_ bytes: [UInt8]) {
        let read = EntryTemplate.read(bytes)
        let strict = try? Entry(strictly: bytes)
        // What is no ASCII the template leaves to the strict reader.
        if read == nil, strict != nil, bytes.contains(where: { $0 >= 0x80 || $0 == UInt8(ascii: "\\") }) { return }
        #expect(read == strict, "\(String(decoding: bytes, as: UTF8.self))")
    }

    @Test("reads what the strict reader reads, for all forms of each member")
    func forms() throws {
        for (position, member) in EntryTemplateTests.members.enumerated() {
            for value in member.1 { compare(EntryTemplateTests.text(position, value)) }
        }
        #expect(EntryTemplate.read(EntryTemplateTests.text(0, EntryTemplateTests.members[0].1[0])) != nil)
    }

    @Test("refuses every changed, missing or additional byte that the strict reader refuses")
    func bytes() {
        let bytes = EntryTemplateTests.text(0, EntryTemplateTests.members[0].1[0])
        for position in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[position] ^= 1 << UInt8(bit)
                compare(changed)
            }
            var shorter = bytes
            shorter.remove(at: position)
            compare(shorter)
            compare(Array(bytes.prefix(position)))
            for added in " ,:\"{}[]0\\\0".utf8 {
                var longer = bytes
                longer.insert(added, at: position)
                compare(longer)
            }
        }
        for tail in ["{", "}", " ", "\n", "0"] { compare(bytes + Array(tail.utf8)) }
    }

    @Test("refuses what is longer than an entry may be")
    func length() {
        for count in [FormatLimits.entryBytes - 700, FormatLimits.entryBytes, FormatLimits.entryBytes + 1] {
            compare(EntryTemplateTests.text(1, #"{"a":"\#(String(repeating: "x", count: count - 700))"}"#))
        }
        let empty = EntryTemplateTests.text(1, #"{"a":""}"#).count
        for over in 0...1 {
            let filling = String(repeating: "x", count: FormatLimits.entryBytes - empty + over)
            let bytes = EntryTemplateTests.text(1, #"{"a":"\#(filling)"}"#)
            compare(bytes)
            #expect((EntryTemplate.read(bytes) != nil) == (over == 0))
        }
    }
}
