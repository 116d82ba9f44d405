import JSON
import Testing

@Suite("Reading JSON piece by piece")
struct PullReaderTests {
    private static func reader(_ text: String) -> JSONReader { JSONReader(Array(text.utf8)) }

    private static func refusal(_ text: String, _ read: (inout JSONReader) throws -> Void) -> JSONError? {
        var reader = reader(text)
        do {
            try read(&reader)
            return nil
        } catch {
            return error as? JSONError
        }
    }

    @Test("Gives the parts in the document's order, and ends behind them")
    func parts() throws {
        var reader = PullReaderTests.reader(#" {"n" : 7, "s":"\u00e9", "l":[ true ,false], "o":{}, "z":null} "#)
        var read: [String] = []
        try reader.object { (name, reader) throws(JSONError) in
            switch name {
            case "n": read.append("n \(try reader.int())")
            case "s": read.append("s \(try reader.string())")
            case "l": try reader.array { (reader) throws(JSONError) in read.append("l \(try reader.bool())") }
            case "o": try reader.object { (_, _) throws(JSONError) in }
            default: read.append("\(name) \(try reader.null())")
            }
        }
        #expect(read == ["n 7", "s é", "l true", "l false", "z true"])
        #expect(reader.position == reader.bytes.count - 1)
        try reader.finish()
        #expect(reader.position == reader.bytes.count)
    }

    @Test("Refuses a value of another type than the one asked for, where it stands")
    func wrongTypes() {
        let asked: [(String, (inout JSONReader) throws -> Void)] = [
            ("{[tn1x", { _ = try $0.string() }), (#"{[tn""x"#, { _ = try $0.int() }),
            (#"{[n1""x"#, { _ = try $0.bool() }), (#"[tn1""#, { try $0.object { (_, _) throws(JSONError) in } }),
            (#"{tn1""#, { try $0.array { (_) throws(JSONError) in } }),
        ]
        let values: [Character: String] = [
            "{": "{}", "[": "[]", "t": "true", "n": "null", "1": "1", "\"": #""1""#, "x": "x",
        ]
        for (kinds, read) in asked {
            for kind in kinds {
                let text = "\n \(values[kind] ?? "")"
                #expect(PullReaderTests.refusal(text, read) == JSONError(.wrongType, at: 2), "\(text)")
            }
            #expect(PullReaderTests.refusal(" ", read) == JSONError(.unexpectedEnd, at: 1))
        }
    }

    @Test("Passes over null only where it stands")
    func null() throws {
        var reader = PullReaderTests.reader("[ null,1]")
        var found: [Bool] = []
        try reader.array { (reader) throws(JSONError) in
            found.append(try reader.null())
            if found.last == false { _ = try reader.int() }
        }
        #expect(found == [true, false])
        #expect(PullReaderTests.refusal("nil") { _ = try $0.null() } == JSONError(.unexpectedByte, at: 1))
        #expect(PullReaderTests.refusal("") { _ = try $0.null() } == JSONError(.unexpectedEnd, at: 0))
    }

    @Test("Says where a value stood that it passed over, and checks it all the same")
    func skip() throws {
        for text in ["1", #""a\"b""#, "[1, {}]", #"{"a" : [ ]}"#, "null", "-5"] {
            var reader = PullReaderTests.reader("[ \(text) ,2]")
            var skipped: Range<Int>?
            try reader.array { (reader) throws(JSONError) in
                if skipped == nil { skipped = try reader.skip() } else { _ = try reader.int() }
            }
            #expect(skipped == 2..<2 + text.utf8.count)
        }
        for text in ["01", #""\x""#, #"{"a":1,"a":2}"#, "[1,]", nested(17, in: ("[", "]"))] {
            #expect(PullReaderTests.refusal(text) { _ = try $0.skip() } != nil, "\(text)")
        }
        // Depth counts from the outermost bracket, wherever passing over begins.
        let inside = "[" + nested(16, in: ("[", "]")) + "]"
        let refusal = PullReaderTests.refusal(inside) {
            try $0.array { (reader) throws(JSONError) in _ = try reader.skip() }
        }
        #expect(refusal == JSONError(.tooDeep, at: 16))
    }

    @Test("Hands over the bytes of a string, its escapes resolved")
    func stringBytes() throws {
        for (text, string) in [
            (#""""#, ""), (#" "plain é""#, "plain é"), (#""\u00e9\n""#, "é\n"), (#""é\"😀""#, "é\"😀"),
        ] {
            var reader = PullReaderTests.reader(text)
            #expect(try reader.string { $0.withUnsafeBufferPointer { Array($0) } } == Array(string.utf8))
            try reader.finish()
        }
        for text in ["1", #""a"#, #""\x""#, "\"\n\"", "\"\\n\u{1}\""] {
            let asText = PullReaderTests.refusal(text) { _ = try $0.string() }
            let asBytes = PullReaderTests.refusal(text) { _ = try $0.string { $0.count } }
            #expect(asText != nil && asBytes == asText)
        }
        var reader = JSONReader([0x22, 0xC3, 0x22])
        #expect(throws: JSONError(.invalidUTF8, at: 1)) { try reader.string { $0.count } }
    }

    @Test("Reads values one after the other, as messages on a socket come")
    func sequence() throws {
        var reader = PullReaderTests.reader("{} [1]\n2 ")
        #expect(try reader.value() == .object([]))
        #expect(throws: JSONError(.trailingBytes, at: 3)) { try reader.finish() }
        #expect(try reader.value() == .array([.int(1)]))
        #expect(try reader.int() == 2)
        try reader.finish()
        #expect(throws: JSONError(.unexpectedEnd, at: 9)) { try reader.value() }
    }

    @Test("Hands on what the closure throws")
    func closureErrors() {
        let own = JSONError(.wrongType, at: 99)
        #expect(PullReaderTests.refusal("[1]") { try $0.array { (_) throws(JSONError) in throw own } } == own)
        #expect(
            PullReaderTests.refusal(#"{"a":1}"#) { try $0.object { (_, _) throws(JSONError) in throw own } } == own
        )
    }
}
