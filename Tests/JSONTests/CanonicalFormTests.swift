import JSON
import Testing

@Suite("Canonical JSON")
struct CanonicalFormTests {
    /// RFC 8785, its numbers left out where they are no integers, and the samples published with it.
    private static let published: [(document: String, canonical: String)] = [
        // Section 3.2.2.
        (
            #"""
            {
              "numbers": [333333333, 1, 4],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """#,
            #"{"literals":[null,true,false],"numbers":[333333333,1,4],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        ),
        // Section 3.2.3: by UTF-16 code units the emoji comes before U+FB33, by code points it comes after.
        (
            #"""
            {
              "\u20ac": "Euro Sign",
              "\r": "Carriage Return",
              "\ufb33": "Hebrew Letter Dalet With Dagesh",
              "1": "One",
              "\ud83d\ude00": "Emoji: Grinning Face",
              "\u0080": "Control",
              "\u00f6": "Latin Small Letter O With Diaeresis"
            }
            """#,
            #"{"\r":"Carriage Return","1":"One","\#u{80}":"Control","\#u{F6}":"Latin Small Letter O With Diaeresis","#
                + #""\#u{20AC}":"Euro Sign","\#u{1F600}":"Emoji: Grinning Face","#
                + #""\#u{FB33}":"Hebrew Letter Dalet With Dagesh"}"#
        ),
        (
            #"[56,{"d":true,"10":null,"1":[ ]}]"#,
            #"[56,{"1":[],"10":null,"d":true}]"#
        ),
        (
            #"{"peach":1,"péché":2,"pêche":3,"sin":4}"#,
            #"{"peach":1,"péché":2,"pêche":3,"sin":4}"#
        ),
        (
            #"{"1":{"f":{"f":"hi","F":5},"\n":56},"10":{},"":"empty","a":{},"111":[{"e":"yes","E":"no"}],"A":{}}"#,
            #"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}"#
        ),
        (#"{"Unnormalized Unicode":"A\u030a"}"#, #"{"Unnormalized Unicode":"A\#u{30A}"}"#),
        (
            #"{"\ud83d\ude02":1,"\u00f6":2,"</script>":3,"\u0080":4,"1":5,"\u000a":6,"\r":7,"\u20ac":8,"\ufb33":9}"#,
            #"{"\n":6,"\r":7,"1":5,"</script>":3,"\#u{80}":4,"\#u{F6}":2,"\#u{20AC}":8,"\#u{1F602}":1,"\#u{FB33}":9}"#
        ),
    ]

    @Test("Is that of RFC 8785 and its samples")
    func publishedSamples() throws {
        for (document, expected) in CanonicalFormTests.published {
            #expect(try canonical(document.utf8) == Array(expected.utf8), "\(expected)")
            #expect(try canonical(expected.utf8) == Array(expected.utf8))
        }
    }

    @Test("Escapes quotation mark, backslash and control characters, and nothing else")
    func escapes() throws {
        let short: [UInt32: String] = [
            0x08: #"\b"#, 0x09: #"\t"#, 0x0A: #"\n"#, 0x0C: #"\f"#, 0x0D: #"\r"#, 0x22: #"\""#, 0x5C: #"\\"#,
        ]
        let beyond: [UInt32] = [
            0x7FF, 0x800, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF,
        ]
        for value in Array(0...0x2FF) + beyond {
            let scalar = try #require(Unicode.Scalar(value))
            let plain = String(scalar)
            let hex = String(value, radix: 16)
            let control = #"\u00"# + (hex.utf8.count == 1 ? "0" : "") + hex
            let written = short[value] ?? (value < 0x20 ? control : plain)
            for (string, expected) in [(plain, written), ("a\(plain)b\(plain)", "a\(written)b\(written)")] {
                #expect(JSONValue.string(string).canonicalBytes == Array("\"\(expected)\"".utf8), "U+\(hex)")
                let name = JSONValue.object([JSONMember(name: string, value: .null)])
                #expect(name.canonicalBytes == Array("{\"\(expected)\":null}".utf8), "U+\(hex)")
            }
        }
    }

    @Test("Orders names by UTF-16 code units, at every depth")
    func order() {
        // Each before the next. Characters beyond U+FFFF are pairs of surrogates, which are below U+E000.
        let names = [
            "", "\0", "\n", " ", "!", "10", "2", "A", "Aa", "a", "a\0", "aa", "b", "\u{7F}", "\u{80}", "é", "Ā",
            "\u{D7FF}", "\u{10000}", "\u{10000}a", "😀", "😁", "\u{10FFFF}", "\u{E000}", "\u{FB33}", "\u{FFFF}",
        ]
        for (position, name) in names.enumerated() {
            for (other, second) in names.enumerated() {
                #expect(JSONWriter.precedes(name, second) == (position < other), "\(position) \(other)")
            }
        }
        let sorted = JSONValue.object(names.map { JSONMember(name: $0, value: .int(1)) })
        let reversed = JSONValue.object(names.reversed().map { JSONMember(name: $0, value: .int(1)) })
        #expect(sorted.canonicalBytes == reversed.canonicalBytes)
        #expect(
            JSONValue.array([.members(["a": reversed])]).canonicalBytes
                == JSONValue.array([.members(["a": sorted])]).canonicalBytes
        )
        // "e", U+0301 sorts by its "e", whatever it would be composed.
        #expect(JSONWriter.precedes("e\u{301}", "f") && !JSONWriter.precedes("é", "f"))
        #expect(JSONWriter.precedes("e\u{301}", "é") && !JSONWriter.precedes("é", "e\u{301}"))
    }

    @Test("Has integers in their shortest spelling")
    func integers() {
        for number: Int64 in [0, 1, -1, 9, 10, -10, 99, 100, 1_000_000, 9_007_199_254_740_991, -9_007_199_254_740_991] {
            #expect(JSONValue.int(number).canonicalBytes == Array("\(number)".utf8))
        }
        #expect(JSONValue.int(.max).canonicalBytes == Array("9223372036854775807".utf8))
        #expect(JSONValue.int(.min).canonicalBytes == Array("-9223372036854775808".utf8))
    }

    @Test("Is what the piecewise calls write for callers who keep the order")
    func piecewise() {
        var writer = JSONWriter(capacity: 0)
        writer.beginObject()
        writer.name("a")
        writer.beginArray()
        writer.int(1)
        writer.beginArray()
        writer.endArray()
        writer.string("x\n")
        writer.beginObject()
        writer.endObject()
        writer.null()
        writer.endArray()
        writer.name("b\"")
        writer.bool(true)
        writer.name("c")
        writer.value(.members(["z": .bool(false), "y": .null]))
        writer.name("d")
        writer.raw(#"{"e":[]}"#.utf8)
        writer.endObject()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"a":[1,[],"x\n",{},null],"b\"":true,"c":{"y":null,"z":false},"d":{"e":[]}}"#
        )
        writer.clear()
        #expect(writer.bytes.isEmpty)
        writer.beginObject()
        for name in ["a", "b"] {
            writer.plainName { $0.append(contentsOf: name.utf8) }
            writer.plainString { $0.append(contentsOf: "é\(name)".utf8) }
        }
        writer.endObject()
        #expect(writer.bytes == Array(#"{"a":"éa","b":"éb"}"#.utf8))
    }

    @Test("May stand behind other bytes")
    func behindOthers() {
        var writer = JSONWriter(after: Array("head\n".utf8))
        writer.object([JSONMember(name: "b", value: .int(1)), JSONMember(name: "a", value: .int(2))])
        #expect(writer.bytes == Array("head\n{\"a\":2,\"b\":1}".utf8))
    }
}
