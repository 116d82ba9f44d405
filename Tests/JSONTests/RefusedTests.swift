import JSON
import Testing

@Suite("JSON that is refused")
struct RefusedTests {
    private typealias Case = (text: String, code: JSONError.Code, offset: Int)

    /// Documents of text, with the reason and the place.
    private static let texts: [Case] = [
        // Nothing, or not all of it.
        ("", .unexpectedEnd, 0), (" \n", .unexpectedEnd, 2), ("[", .unexpectedEnd, 1), ("[1", .unexpectedEnd, 2),
        ("[1,", .unexpectedEnd, 3), ("[[]", .unexpectedEnd, 3), ("{", .unexpectedEnd, 1), (#"{"a""#, .unexpectedEnd, 4),
        (#"{"a":"#, .unexpectedEnd, 5), (#"{"a":1"#, .unexpectedEnd, 6), (#"{"a":1,"#, .unexpectedEnd, 7),
        (#"""#, .unexpectedEnd, 1), (#""a"#, .unexpectedEnd, 2), (#""\"#, .unexpectedEnd, 2),
        (#""\n"#, .unexpectedEnd, 3), (#""\u"#, .unexpectedEnd, 3), (#""\u00e"#, .unexpectedEnd, 6),
        (#""\ud800\u"#, .unexpectedEnd, 9), ("t", .unexpectedEnd, 1), ("nul", .unexpectedEnd, 3),
        ("[fals", .unexpectedEnd, 5), ("-", .unexpectedEnd, 1), ("[-", .unexpectedEnd, 2),
        // Bytes out of place.
        ("x", .unexpectedByte, 0), ("]", .unexpectedByte, 0), ("}", .unexpectedByte, 0), (",", .unexpectedByte, 0),
        (":", .unexpectedByte, 0), ("[,1]", .unexpectedByte, 1), ("[1,]", .unexpectedByte, 3),
        ("[1,,2]", .unexpectedByte, 3), ("[1 2]", .unexpectedByte, 3), ("[1;2]", .unexpectedByte, 2),
        ("[1}", .unexpectedByte, 2), ("[\u{C}]", .unexpectedByte, 1), ("[\u{A0}]", .unexpectedByte, 1),
        ("[\u{2060}]", .unexpectedByte, 1), ("\u{FEFF}{}", .unexpectedByte, 0), ("\0", .unexpectedByte, 0),
        ("{1:1}", .unexpectedByte, 1), ("{a:1}", .unexpectedByte, 1), ("{'a':1}", .unexpectedByte, 1),
        ("{,}", .unexpectedByte, 1), ("{null:1}", .unexpectedByte, 1), (#"{"a" 1}"#, .unexpectedByte, 5),
        (#"{"a",1}"#, .unexpectedByte, 4), (#"{"a"::1}"#, .unexpectedByte, 5), (#"{"a":}"#, .unexpectedByte, 5),
        (#"{"a":1,}"#, .unexpectedByte, 7), (#"{"a":1 "b":2}"#, .unexpectedByte, 7), (#"{"a":1]"#, .unexpectedByte, 6),
        (#"{"a"}"#, .unexpectedByte, 4), (#"{"a":1,,"b":2}"#, .unexpectedByte, 7), (#"['a']"#, .unexpectedByte, 1),
        ("[1/*a*/]", .unexpectedByte, 2), ("[//a\n1]", .unexpectedByte, 1), ("[#a\n1]", .unexpectedByte, 1),
        // Words.
        ("nulx", .unexpectedByte, 3), ("nan", .unexpectedByte, 1), ("NaN", .unexpectedByte, 0),
        ("Infinity", .unexpectedByte, 0), ("-Infinity", .unexpectedByte, 1), ("True", .unexpectedByte, 0),
        ("tRue", .unexpectedByte, 1), ("[fals]", .unexpectedByte, 5), ("undefined", .unexpectedByte, 0),
        // Numbers that are none, or no integers.
        ("+1", .unexpectedByte, 0), (".5", .unexpectedByte, 0), ("-x", .unexpectedByte, 1), ("--1", .unexpectedByte, 1),
        ("- 1", .unexpectedByte, 1), ("-.5", .unexpectedByte, 1), ("[\u{FF11}]", .unexpectedByte, 1),
        ("01", .notAnInteger, 0), ("-01", .notAnInteger, 0), ("[00]", .notAnInteger, 1), ("-0", .notAnInteger, 0),
        ("1.0", .notAnInteger, 0), ("[-0.0]", .notAnInteger, 1), ("1.", .notAnInteger, 0), ("1e0", .notAnInteger, 0),
        ("[1E+2]", .notAnInteger, 1), ("0e", .notAnInteger, 0), ("5e-324", .notAnInteger, 0),
        ("[1,2.5]", .notAnInteger, 3), ("1.797693134862315708145274237317e+308", .notAnInteger, 0),
        // Text behind the value.
        ("1 2", .trailingBytes, 2), ("{} x", .trailingBytes, 3), ("[]]", .trailingBytes, 2), ("{}}", .trailingBytes, 2),
        ("nullx", .trailingBytes, 4), ("1a", .trailingBytes, 1), ("0x42", .trailingBytes, 1), ("1,", .trailingBytes, 1),
        (#""a""b""#, .trailingBytes, 3), ("{}\u{FEFF}", .trailingBytes, 2), ("[]\0", .trailingBytes, 2),
        ("1_000", .trailingBytes, 1), ("[]//a", .trailingBytes, 2), ("\r\n1\u{85}", .trailingBytes, 3),
        // Escapes.
        (#""\a""#, .invalidEscape, 2), (#""\x41""#, .invalidEscape, 2), (#""\U0041""#, .invalidEscape, 2),
        (#""\'""#, .invalidEscape, 2), (#""\0""#, .invalidEscape, 2), (#""\ ""#, .invalidEscape, 2),
        ("\"\\\n\"", .invalidEscape, 2), (#""\é""#, .invalidEscape, 2), (#""\u00g0""#, .invalidEscape, 5),
        (#""\u 041""#, .invalidEscape, 3), (#""\u+041""#, .invalidEscape, 3), (#""\u{41}""#, .invalidEscape, 3),
        (#""\u004""#, .invalidEscape, 6), (#"{"\v":1}"#, .invalidEscape, 3), (#""\ud800\u....""#, .invalidEscape, 9),
        // Surrogates.
        (#""\ud800""#, .loneSurrogate, 1), (#""\udbff ""#, .loneSurrogate, 1), (#""a\udc00""#, .loneSurrogate, 2),
        (#""\udfff""#, .loneSurrogate, 1), (#""\ud800\ud800""#, .loneSurrogate, 1),
        (#""\ud800\n""#, .loneSurrogate, 1), (#""\ud800\udbff""#, .loneSurrogate, 1),
        (#""\ud800\ue000""#, .loneSurrogate, 1), (#""\udbff\uffff""#, .loneSurrogate, 1),
        (#""\ud800\u0041""#, .loneSurrogate, 1),
        (#""\udc00\ud800""#, .loneSurrogate, 1), (#""\ud800\udc00\udc00""#, .loneSurrogate, 13),
        (#"{"\uDEAD":1}"#, .loneSurrogate, 2), (#""\ud800udc00""#, .loneSurrogate, 1),
        // Control characters.
        ("\"\0\"", .controlCharacter, 1), ("\"a\n\"", .controlCharacter, 2), ("\"\t\"", .controlCharacter, 1),
        ("\"\u{1F}\"", .controlCharacter, 1), ("{\"a\r\":1}", .controlCharacter, 3),
        ("\"\\n\u{1}\"", .controlCharacter, 3), ("\"\\n\u{1F}\"", .controlCharacter, 3),
    ]

    @Test("Each with its reason and its place")
    func reasons() {
        for (text, code, offset) in RefusedTests.texts {
            #expect(refusal(of: text.utf8) == JSONError(code, at: offset), "\(text.debugDescription)")
            #expect(refusalPassingOver(text.utf8) == JSONError(code, at: offset), "\(text.debugDescription)")
        }
    }

    @Test("White space in front moves the place, and makes nothing valid")
    func shifted() {
        for (text, code, offset) in RefusedTests.texts {
            #expect(refusal(of: "\n \(text)".utf8) == JSONError(code, at: offset + 2), "\(text.debugDescription)")
        }
    }

    @Test(
        "Strings that are not UTF-8",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80],
            [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
        ] as [[UInt8]]
    )
    func invalidUTF8(bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        let escape = Array(#"\n"#.utf8)
        for string in [bytes, Array("a".utf8) + bytes, bytes + Array("a".utf8), escape + bytes, bytes + escape] {
            #expect(refusal(of: quote + string + quote) == JSONError(.invalidUTF8, at: 1))
            let member = Array("{".utf8) + quote + string + quote + Array(":1}".utf8)
            #expect(refusal(of: member) == JSONError(.invalidUTF8, at: 2))
        }
        // Outside a string no such byte can stand at all.
        #expect(refusal(of: bytes) == JSONError(.unexpectedByte, at: 0))
        #expect(refusal(of: Array("1".utf8) + bytes) == JSONError(.trailingBytes, at: 1))
    }

    @Test("Other encodings than UTF-8")
    func encodings() {
        let text = #"{"a":[1,"é"]}"#
        let latin1 = text.unicodeScalars.map { UInt8($0.value) }
        let utf16 = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let bigEndian = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] }
        for bytes in [latin1, utf16, [0xFF, 0xFE] + utf16, bigEndian, [0xFE, 0xFF] + bigEndian] {
            #expect(refusal(of: bytes) != nil)
        }
    }

    @Test("Every document cut short")
    func truncated() {
        let document = Array(#" {"a":[1,-20,true,null,"\u00e9\ud83d\ude00é\n"],"b":{"":false}}"#.utf8)
        #expect(refusal(of: document) == nil)
        for count in document.indices { #expect(refusal(of: document.prefix(count)) != nil, "\(count) bytes") }
    }

    @Test("A refusal says what is wrong, and where")
    func descriptions() {
        #expect(JSONError(.trailingBytes, at: 7).description == "bytes after the value, at byte 7")
    }
}
