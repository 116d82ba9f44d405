import JSON
import Testing

@Suite("JSON that is accepted")
struct AcceptedTests {
    @Test("Every kind of value has its value")
    func values() throws {
        let expected: [(String, JSONValue)] = [
            ("null", .null), ("true", .bool(true)), ("false", .bool(false)), ("0", .int(0)), ("-1", .int(-1)),
            ("42", .int(42)), (#""""#, .string("")), (#""a""#, .string("a")), ("[]", .array([])), ("{}", .object([])),
            ("[null,1,[],{}]", .array([.null, .int(1), .array([]), .object([])])),
            (#"{"a":{"b":[true]}}"#, .members(["a": .members(["b": .array([.bool(true)])])])),
            (#"{"":0}"#, .members(["": .int(0)])),
        ]
        for (text, value) in expected { #expect(try JSONReader.parse(Array(text.utf8)) == value, "\(text)") }
    }

    @Test("White space may stand between any two parts, and nowhere changes the value")
    func whiteSpace() throws {
        let parts = ["{", #""a b""#, ":", "[", "1", ",", "-2", ",", "true", "]", ",", #""""#, ":", "null", "}"]
        let plain = Array(parts.joined().utf8)
        for space in [" ", "\t", "\n", "\r", "\r\n\t  "] {
            #expect(try canonical((space + parts.joined(separator: space) + space).utf8) == canonical(plain))
            for position in 0...parts.count {
                var spaced = parts
                spaced.insert(space, at: position)
                #expect(try canonical(spaced.joined().utf8) == canonical(plain))
            }
        }
    }

    @Test("Escapes stand for their characters")
    func escapes() throws {
        let expected: [(String, [Unicode.Scalar])] = [
            (#"\"\\\/\b\f\n\r\t"#, ["\"", "\\", "/", "\u{8}", "\u{C}", "\n", "\r", "\t"]),
            (#"\u0000\u001f\u0022\u005C\u007f"#, ["\0", "\u{1F}", "\"", "\\", "\u{7F}"]),
            (#"\u00e9\u00E9\u0801\uD7FF\uE000\uffff"#, ["é", "é", "\u{801}", "\u{D7FF}", "\u{E000}", "\u{FFFF}"]),
            (#"\ud800\udc00\uD83D\uDE00\uDBFF\uDFFF"#, ["\u{10000}", "\u{1F600}", "\u{10FFFF}"]),
            (#"\u0061\u030a"#, ["a", "\u{30A}"]), (#"\\u0061"#, ["\\", "u", "0", "0", "6", "1"]),
            (#"\u12345"#, ["\u{1234}", "5"]),
        ]
        for (text, scalars) in expected {
            let string = try #require(try JSONReader.parse(Array("\"\(text)\"".utf8)).string)
            #expect(Array(string.unicodeScalars) == scalars, "\(text)")
            // As part of a longer string too, where the escape neither begins nor ends it.
            let longer = try #require(try JSONReader.parse(Array("\"é\(text)é\"".utf8)).string)
            #expect(Array(longer.unicodeScalars) == ["é"] + scalars + ["é"], "\(text)")
        }
    }

    @Test(
        "Unescaped text keeps its bytes",
        arguments: [
            "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FEFF}", "\u{FFFE}",
            "\u{FFFF}", "\u{10000}", "\u{1FFFF}", "\u{10FFFF}", "\u{2028}\u{2029}", "asd \u{200B}", "\u{202E}", "π",
            "存证", "e\u{301}", "\u{212B}", "\u{1F468}\u{200D}\u{1F467}", "/", "'", "<!-- -->",
        ]
    )
    func unescaped(text: String) throws {
        let string = try #require(try JSONReader.parse(Array("\"\(text)\"".utf8)).string)
        #expect(Array(string.utf8) == Array(text.utf8))
    }

    @Test("Members keep the document's order, and are found by name")
    func members() throws {
        let value = try JSONReader.parse(Array(#"{"b":1,"a":[2],"":{"b":3},"B":null}"#.utf8))
        #expect(value.object?.map(\.name) == ["b", "a", "", "B"])
        #expect(value["b"] == .int(1) && value["B"] == .null && value[""]?["b"]?.int == 3)
        #expect(value["c"] == nil && value["a"]?["b"] == nil && JSONValue.null[""] == nil)
    }

    @Test("A value is given out as its own type only")
    func accessors() {
        let values: [JSONValue] = [.null, .bool(false), .int(0), .string(""), .array([]), .object([])]
        #expect(values.map { $0.bool != nil } == [false, true, false, false, false, false])
        #expect(values.map { $0.int != nil } == [false, false, true, false, false, false])
        #expect(values.map { $0.string != nil } == [false, false, false, true, false, false])
        #expect(values.map { $0.array != nil } == [false, false, false, false, true, false])
        #expect(values.map { $0.object != nil } == [false, false, false, false, false, true])
    }

    @Test("Texts are compared by their bytes: what is normalised differently is different")
    func normalisation() {
        let composed = JSONValue.string("\u{E9}")
        let decomposed = JSONValue.string("e\u{301}")
        #expect(composed != decomposed)
        #expect(JSONMember(name: "\u{E9}", value: .null) != JSONMember(name: "e\u{301}", value: .null))
        #expect(JSONValue.members(["\u{212A}": .int(1)])["K"] == nil)
        #expect(JSONValue.array([.int(1), composed]) != .array([.int(1), decomposed]))
    }
}
