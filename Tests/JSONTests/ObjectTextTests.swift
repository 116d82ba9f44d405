import JSON
import Testing

@Suite("Objects as canonical text")
struct ObjectTextTests {
    /// Checks a text against what is read by way of a tree.
    private func expect(_ object: JSONObjectText, _ value: JSONValue) throws {
        let canonical = value.canonicalBytes
        #expect(object.bytes == canonical)
        let sorted = try #require(value.object).sorted { JSONWriter.precedes($0.name, $1.name) }
        try #require(object.members.count == sorted.count)
        for (member, expected) in zip(object.members, sorted) {
            // The ranges point at the name between its quotes, and at the value's canonical form.
            let name = JSONValue.string(expected.name).canonicalBytes
            #expect(object.bytes[member.name].elementsEqual(name.dropFirst().dropLast()))
            #expect(object.bytes[member.name.lowerBound - 1] == UInt8(ascii: "\""))
            #expect(object.bytes[member.name.upperBound] == UInt8(ascii: "\""))
            #expect(object.bytes[member.name.upperBound + 1] == UInt8(ascii: ":"))
            #expect(object.bytes[member.value].elementsEqual(expected.value.canonicalBytes))
            #expect(object.name(of: member).utf8.elementsEqual(expected.name.utf8))
            #expect(object.value(of: member).canonicalBytes == expected.value.canonicalBytes)
            #expect(object[expected.name]?.canonicalBytes == expected.value.canonicalBytes)
        }
        #expect(JSONValue.object(object.values).canonicalBytes == canonical)
        #expect(object["no such name"] == nil)
    }

    @Test("have the form their tree has, whatever their spelling")
    func random() throws {
        var documents = RandomDocuments(seed: 8_786)
        var objects = 0
        for _ in 0..<4_000 {
            // One level is taken by the object around it.
            let value = JSONValue.members(["\u{FB33}": documents.value(depth: 15), "😀\"": documents.value(depth: 15)])
            for value in [value, documents.value()] {
                guard let members = value.object else {
                    #expect(refusalAsText(documents.spelling(of: value))?.code == .wrongType)
                    continue
                }
                objects += 1
                try expect(JSONObjectText(parsing: documents.spelling(of: value)), value)
                try expect(JSONObjectText(members), value)
                try expect(JSONObjectText(members.reversed()), value)
                #expect(try JSONObjectText(members) == JSONObjectText(parsing: value.canonicalBytes))
            }
        }
        #expect(objects > 4_500)
    }

    @Test("are refused where and why a tree is, but for names that occur twice")
    func spoilt() throws {
        var documents = RandomDocuments(seed: 7_494)
        var accepted = 0
        var twice = 0
        for _ in 0..<4_000 {
            var bytes = documents.spelling(of: .object([JSONMember(name: "a", value: documents.value(depth: 15))]))
            for _ in 0..<4 {
                bytes = documents.spoilt(bytes)
                let tree = refusal(of: bytes)
                let text = refusalAsText(bytes)
                if tree?.code == .duplicateName {
                    // Found where the object ends, so that what is wrong further on may be told first.
                    twice += 1
                    #expect(text != nil)
                } else if let tree, text?.code != .wrongType {
                    #expect(text == tree, "\(String(decoding: bytes, as: UTF8.self))")
                } else if let value = try? JSONReader.parse(bytes) {
                    guard value.object != nil else { continue }
                    accepted += 1
                    try expect(JSONObjectText(parsing: bytes), value)
                }
            }
        }
        #expect(accepted > 500)
        #expect(twice > 0)
    }

    @Test(
        "put names in the order of UTF-16 code units",
        arguments: [
            // By bytes, and by code points, U+FB33 comes before the emoji.
            (#"{"\ufb33":1,"\ud83d\ude00":2}"#, "{\"😀\":2,\"\u{FB33}\":1}"),
            ("{\"\u{FFFF}\":1,\"\u{10000}\":2,\"\u{E000}\":3}", "{\"\u{10000}\":2,\"\u{E000}\":3,\"\u{FFFF}\":1}"),
            // By its escaped spelling a quotation mark would come after "A".
            (##"{"A":1,"\"":2,"\n":3,"#":4}"##, ##"{"\n":3,"\"":2,"#":4,"A":1}"##),
            (#"{"\\":1,"[":2,"]":3}"#, #"{"[":2,"\\":1,"]":3}"#),
            (#"{"b":1,"":2,"aa":3,"a":4}"#, #"{"":2,"a":4,"aa":3,"b":1}"#),
            (
                #"{"x":{"b":[{"d":1,"c":{"f":2,"e":3}}],"a":0},"w":{}}"#,
                #"{"w":{},"x":{"a":0,"b":[{"c":{"e":3,"f":2},"d":1}]}}"#
            ),
        ]
    )
    func order(document: String, canonical: String) throws {
        let object = try JSONObjectText(parsing: Array(document.utf8))
        #expect(object.bytes == Array(canonical.utf8))
        try expect(object, JSONReader.parse(Array(document.utf8)))
        try expect(JSONObjectText(parsing: Array(canonical.utf8)), JSONReader.parse(Array(document.utf8)))
    }

    @Test(
        "with a name that occurs twice, however it is written, are refused",
        arguments: [
            #"{"a":1,"a":1}"#, #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#, #"{"b":1,"a":2,"b":3}"#,
            #"{"z":1,"a":1,"y":2,"\u007a":3}"#, #"{"\/":1,"/":1}"#, #"{"é":1,"\u00e9":1}"#, #"{"\n":1,"\u000a":1}"#,
            #"{"\ud83d\ude00":1,"😀":1}"#, #"{"\u00E9":1,"\u00e9":1}"#, #"{"":1,"":2}"#,
            #"{"x":[{"b":{"a":1,"a":1}}]}"#, #"{"x":{"b":0,"a":0,"\u0062":0},"y":1}"#,
        ]
    )
    func duplicates(document: String) {
        #expect(refusalAsText(Array(document.utf8))?.code == .duplicateName)
        #expect(refusal(of: document.utf8)?.code == .duplicateName)
    }

    @Test("keep names apart that are alike only to the eye")
    func distinct() throws {
        for document in [
            "{\"\u{E9}\":1,\"e\u{301}\":2}", "{\"e\u{301}\":1,\"\u{E9}\":2}", #"{"a":1,"A":1}"#,
            #"{"a":1,"\\u0061":1}"#, "{\"K\":1,\"\u{212A}\":2}",
        ] {
            let object = try JSONObjectText(parsing: Array(document.utf8))
            #expect(object.members.count == 2)
            try expect(object, JSONReader.parse(Array(document.utf8)))
        }
        let composed = try JSONObjectText(parsing: Array("{\"\u{E9}\":1}".utf8))
        #expect(composed["\u{E9}"] == .int(1) && composed["e\u{301}"] == nil)
        #expect(try composed != JSONObjectText(parsing: Array("{\"e\u{301}\":1}".utf8)))
    }

    @Test("made of members keep the reader's limits")
    func members() throws {
        #expect(try JSONObjectText([JSONMember]()) == .empty)
        #expect(JSONObjectText.empty.bytes == Array("{}".utf8) && JSONObjectText.empty.members.isEmpty)
        #expect(throws: JSONError.self) {
            try JSONObjectText([JSONMember(name: "a", value: .null), JSONMember(name: "a", value: .int(1))])
        }
        #expect(throws: JSONError.self) { try JSONObjectText([JSONMember(name: "a", value: .int(.max))]) }
        var deep = JSONValue.array([])
        for _ in 1..<JSONReader.maximumDepth - 1 { deep = .array([deep]) }
        _ = try JSONObjectText([JSONMember(name: "a", value: deep)])
        #expect(throws: JSONError.self) { try JSONObjectText([JSONMember(name: "a", value: .array([deep]))]) }
    }

    @Test("nest 16 deep, counted from the outermost bracket")
    func depth() throws {
        func document(_ count: Int) -> [UInt8] {
            // The innermost names first in the wrong order, so that each level is sorted.
            var text = "1"
            for _ in 0..<count { text = #"{"b":\#(text),"a":[]}"# }
            return Array(text.utf8)
        }
        // The empty lists lie one deeper than the object they are in.
        try expect(JSONObjectText(parsing: document(15)), JSONReader.parse(document(15)))
        #expect(refusalAsText(document(16)) == refusal(of: document(16)))
        #expect(refusalAsText(document(16))?.code == .tooDeep)
        #expect(refusalAsText(document(5_000))?.code == .tooDeep)
        var reader = JSONReader(Array("[".utf8) + document(15) + Array("]".utf8))
        #expect(throws: JSONError.self) {
            try reader.array { (reader) throws(JSONError) in _ = try reader.objectText() }
        }
    }

    @Test("are read from the middle of a message, and leave the reader behind them")
    func within() throws {
        var reader = JSONReader(Array(#" [ {"b" : 1, "a":[ 2 ]} , {} ,3]"#.utf8))
        var read: [String] = []
        try reader.array { (reader) throws(JSONError) in
            guard try reader.isBeforeObject() else { return read.append("\(try reader.int())") }
            read.append(String(decoding: try reader.objectText().bytes, as: UTF8.self))
        }
        try reader.finish()
        #expect(read == [#"{"a":[2],"b":1}"#, "{}", "3"])
        #expect(refusalAsText(Array("{} x".utf8)) == JSONError(.trailingBytes, at: 3))
        #expect(refusalAsText(Array(" []".utf8)) == JSONError(.wrongType, at: 1))
        #expect(refusalAsText([]) == JSONError(.unexpectedEnd, at: 0))
    }

    @Test("of many members and many objects are put in order")
    func many() throws {
        let names = (0..<3_000).map { "n\($0 * 7_919 % 3_000)é" }
        let large = JSONValue.object(names.map { JSONMember(name: $0, value: .bool(true)) })
        var writer = JSONWriter()
        writer.beginObject()
        for name in names {
            writer.name(name)
            writer.bool(true)
        }
        writer.endObject()
        try expect(JSONObjectText(parsing: writer.bytes), large)
        // Each object is sorted where it stands; what was read before it must not be gone through again.
        let small = #"{"b":1,"a":2}"#
        let list = "{\"l\":[" + Array(repeating: small, count: 60_000).joined(separator: ",") + "]}"
        let object = try JSONObjectText(parsing: Array(list.utf8))
        #expect(object.bytes == Array(list.replacing(small, with: #"{"a":2,"b":1}"#).utf8))
    }
}
