import JSON
import Testing

@Suite("Limits and member names")
struct LimitTests {
    @Test("Integers reach from -(2^53 - 1) to 2^53 - 1")
    func integers() throws {
        for number: Int64 in [9_007_199_254_740_991, 9_007_199_254_740_990, 999_999_999_999_999, 1, 10] {
            #expect(try JSONReader.parse(Array("\(number)".utf8)) == .int(number))
            #expect(try JSONReader.parse(Array("[-\(number)]".utf8)) == .array([.int(-number)]))
        }
        for digits in [
            "9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808",
            "18446744073709551616", "90071992547409910", "123123123123123123123123123123",
            String(repeating: "9", count: 100_000),
        ] {
            #expect(refusal(of: digits.utf8) == JSONError(.integerOutOfRange, at: 0))
            #expect(refusal(of: "[0,-\(digits)]".utf8) == JSONError(.integerOutOfRange, at: 3))
        }
    }

    @Test(
        "Arrays and objects nest 16 deep",
        arguments: [("[", "]"), (#"{"a":"#, "}"), (#"[{"a":"#, "}]"), (" [ ", "\n] ")]
    )
    func depth(brackets: (String, String)) throws {
        // The third pair opens two brackets at a time.
        let step = brackets.1.filter { "]}".contains($0) }.count
        let inner = step == 1 && brackets.0.contains(":") || step == 2 ? "1" : ""
        func document(_ count: Int) -> String {
            String(repeating: brackets.0, count: count) + inner + String(repeating: brackets.1, count: count)
        }
        #expect(refusal(of: document(JSONReader.maximumDepth / step).utf8) == nil)
        let error = try #require(refusal(of: document(JSONReader.maximumDepth / step + 1).utf8))
        #expect(refusalPassingOver(document(JSONReader.maximumDepth / step).utf8) == nil)
        #expect(refusalPassingOver(document(JSONReader.maximumDepth / step + 1).utf8) == error)
        #expect(error.code == .tooDeep)
        // The place is that of the seventeenth bracket.
        let opened = document(JSONReader.maximumDepth + 1).utf8.enumerated().filter { "[{".utf8.contains($0.element) }
        #expect(error.offset == opened[JSONReader.maximumDepth].offset)
        #expect(refusal(of: document(100_000).utf8)?.code == .tooDeep)
    }

    @Test("What stands beside each other does not nest")
    func siblings() {
        let deepest = nested(15, in: ("[", "]"))
        #expect(refusal(of: ("[" + Array(repeating: deepest, count: 50).joined(separator: ",") + "]").utf8) == nil)
        #expect(refusal(of: "[\(deepest),[\(deepest)]]".utf8) == JSONError(.tooDeep, at: 47))
        #expect(refusal(of: (#"{"a":[],"b":{},"c":"# + deepest + "}").utf8) == nil)
    }

    @Test(
        "A name that occurs twice is refused where it stands again, however it is written",
        arguments: [
            (#"{"a":1,"a":1}"#, 7), (#"{"a":1,"a":2}"#, 7), (#"{"":1, "":1}"#, 7), (#"{"a":1,"b":2,"a":3}"#, 13),
            (#"{"a":1,"\u0061":1}"#, 7), (#"{"\u0061":1,"a":1}"#, 12), (#"{"\/":1,"/":1}"#, 8),
            (#"{"é":1,"\u00e9":1}"#, 8), (#"{"\ud83d\ude00":1,"😀":1}"#, 18), (#"{"\n":1,"\u000a":1}"#, 8),
            (#"{"\u00E9":1,"\u00e9":1}"#, 12), (#"[{"b":{"a":1,"a":1}}]"#, 13), (#"{"a":{"a":1},"a":1}"#, 13),
        ]
    )
    func duplicates(text: String, offset: Int) {
        #expect(refusal(of: text.utf8) == JSONError(.duplicateName, at: offset))
        #expect(refusalPassingOver(text.utf8) == JSONError(.duplicateName, at: offset))
    }

    @Test(
        "Different names are different, however alike they look",
        arguments: [
            #"{"a":1,"A":1}"#, #"{"a":1,"a ":1,"":1}"#, #"{"a":1,"\\u0061":1}"#, #"{"a":1,"а":1}"#,
            #"{"a":{"a":1},"b":{"a":1}}"#, #"[{"a":1},{"a":1}]"#,
            // Equal once they are normalised, which this format doesn't do.
            "{\"\u{E9}\":1,\"e\u{301}\":2}", #"{"\u00e9":1,"e\u0301":2}"#, "{\"K\":1,\"\u{212A}\":2}",
            "{\"\u{C5}\":1,\"\u{212B}\":2,\"A\u{30A}\":3}", "{\"\u{AC00}\":1,\"\u{1100}\u{1161}\":2}",
        ]
    )
    func distinct(text: String) {
        #expect(refusal(of: text.utf8) == nil)
        #expect(refusalPassingOver(text.utf8) == nil)
    }

    @Test("Names are compared among many members as among few", arguments: [15, 16, 17, 18, 40, 2_000])
    func manyMembers(count: Int) throws {
        let members = (0..<count).map { #""n\#($0)":\#($0)"# }
        let value = try JSONReader.parse(Array("{\(members.joined(separator: ","))}".utf8))
        #expect(value.object?.map(\.value) == (0..<Int64(count)).map { .int($0) })
        for again in [0, 1, count / 2, count - 1] {
            let text = "{" + (members + [#""\u006e\#(again)":0"#]).joined(separator: ",") + "}"
            let offset = members.reduce(1) { $0 + $1.utf8.count + 1 }
            #expect(refusal(of: text.utf8) == JSONError(.duplicateName, at: offset), "n\(again)")
            #expect(refusalPassingOver(text.utf8) == JSONError(.duplicateName, at: offset), "n\(again)")
            // The escape out of the way, so that names are compared where they lie for as long as may be.
            let plain = text.replacing(#"\u006e"#, with: "n")
            #expect(refusal(of: plain.utf8) == JSONError(.duplicateName, at: offset), "n\(again)")
            #expect(refusalPassingOver(plain.utf8) == JSONError(.duplicateName, at: offset), "n\(again)")
        }
        let alike = "{" + (members + ["\"\u{E9}\":0", "\"e\u{301}\":0"]).joined(separator: ",") + "}"
        #expect(refusal(of: alike.utf8) == nil)
        #expect(refusalPassingOver(alike.utf8) == nil)
    }
}
