import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("Entries")
struct EntryTests {
    private static let subject = "subject/0123456789abcdef0123456789abcdef"
    private static let object = "object/019b76da4c0c00000000000000000002"
    private static let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    private static let members: KeyValuePairs = [
        "actor": "\"\(subject)\"",
        "body": #"{"product":"deposit"}"#,
        "claims": #"{"\#(object)":{"sha256":"\#(zeros)","size":"\#(zeros)"},"\#(subject)":{"name":"\#(zeros)"}}"#,
        "index": "7",
        "prev": #""ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=""#,
        "request": #""019b76da-4c0c-7000-8000-000000000002""#,
        "streams": #"[["\#(object)",0],["\#(subject)",41]]"#,
        "submitter": #""deposit-service""#,
        "time": #""2026-01-01T00:00:00.012345Z""#,
        "type": #""evidence.deposited""#,
        "v": "1",
    ]

    /// The entry, one member replaced if wanted.
    private static func text(_ name: String = "", _ value: String = "") -> String {
        "{" + members.map { "\"\($0)\":\($0 == name ? value : $1)" }.joined(separator: ",") + "}"
    }

    private static func read(_ text: String) throws -> Entry { try Entry(Array(text.utf8)) }

    @Test("are read and written back byte for byte")
    func roundTrip() throws {
        let entry = try EntryTests.read(EntryTests.text())
        #expect(String(decoding: entry.encoded, as: UTF8.self) == EntryTests.text())
        #expect(try Entry(entry.encoded) == entry)
        #expect(entry.actor.description == EntryTests.subject)
        #expect(entry.body.values == [JSONMember(name: "product", value: .string("deposit"))])
        #expect(entry.claims.map(\.scope.description) == [EntryTests.object, EntryTests.subject])
        #expect(entry.claims.map { $0.claims.map(\.name) } == [["sha256", "size"], ["name"]])
        #expect(entry.index == 7)
        #expect(entry.previous == SHA256Hasher().hash(Array("abc".utf8)))
        #expect(entry.request.description == "019b76da-4c0c-7000-8000-000000000002")
        #expect(entry.streams.map(\.stream.description) == [EntryTests.object, EntryTests.subject])
        #expect(entry.streams.map(\.number) == [0, 41])
        #expect(entry.submitter == "deposit-service")
        #expect(entry.time.description == "2026-01-01T00:00:00.012345Z")
        #expect(entry.type == "evidence.deposited")
    }

    @Test("changed in any bit are refused or have another leaf hash")
    func everyBit() throws {
        var hasher = SHA256Hasher()
        let bytes = Array(EntryTests.text().utf8)
        let entry = try Entry(bytes)
        let leaf = hasher.leaf(bytes)
        for position in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[position] ^= 1 << UInt8(bit)
                guard let read = try? Entry(changed) else { continue }
                #expect(read != entry && read.encoded == changed && hasher.leaf(read.encoded) != leaf)
            }
        }
        for count in bytes.indices { #expect(throws: EntryError.self) { try Entry(Array(bytes.prefix(count))) } }
    }

    @Test("with white space outside strings, or bytes behind, are refused")
    func whiteSpace() {
        let bytes = Array(EntryTests.text().utf8)
        var inString = false
        for position in 0...bytes.count {
            if position > 0, bytes[position - 1] == UInt8(ascii: "\"") { inString.toggle() }
            guard !inString else { continue }
            for space in " \n\t\r".utf8 {
                var changed = bytes
                changed.insert(space, at: position)
                #expect(throws: EntryError.self, "at \(position)") { try Entry(changed) }
            }
        }
        for tail in ["\0", "{}", ",", "}"] {
            #expect(throws: EntryError.self) { try EntryTests.read(EntryTests.text() + tail) }
        }
        #expect(throws: EntryError.self) { try EntryTests.read("\u{FEFF}" + EntryTests.text()) }
    }

    @Test("with members in another order, missing, twice or added are refused")
    func memberSet() {
        let written = EntryTests.members.map { "\"\($0)\":\($1)" }
        func object(_ members: [String]) -> String { "{" + members.joined(separator: ",") + "}" }
        for position in written.indices {
            var members = written
            let removed = members.remove(at: position)
            #expect(throws: EntryError.self) { try EntryTests.read(object(members)) }
            for other in written.indices where other != position {
                var moved = members
                moved.insert(removed, at: other)
                #expect(throws: EntryError.self) { try EntryTests.read(object(moved)) }
            }
            members = written
            members.insert(removed, at: position)
            #expect(throws: EntryError.self) { try EntryTests.read(object(members)) }
        }
        #expect(throws: EntryError.self) { try EntryTests.read(object(written + [#""w":1"#])) }
        #expect(throws: EntryError.self) { try EntryTests.read(object([#""a":1"#] + written)) }
    }

    @Test(
        "keep each member to its rule",
        arguments: [
            ("actor", [#""contract/0123456789abcdef0123456789abcdef""#, "null", #""System""#, #""\u0073ystem""#]),
            ("body", ["null", "[]", #""x""#, #"{"b":1,"a":2}"#, #"{"a":1,"a":1}"#, #"{"a":1.0}"#, #"{"a":-0}"#]),
            (
                "claims",
                [
                    "null", "[]", #"{"\#(object)":{}}"#, #"{"\#(object)":[]}"#, #"{"\#(object)":{"size":1}}"#,
                    #"{"\#(object)":{"size":"AAAA"}}"#, #"{"thing/1":{"size":"\#(zeros)"}}"#,
                    #"{"\#(object)":{"size":"\#(zeros)","sha256":"\#(zeros)"}}"#,
                    #"{"\#(subject)":{"name":"\#(zeros)"},"\#(object)":{"size":"\#(zeros)"}}"#,
                    // A scope that is none of the streams, and a name under two scopes.
                    #"{"contract/0123456789abcdef0123456789abcdef":{"size":"\#(zeros)"}}"#,
                    #"{"\#(object)":{"size":"\#(zeros)"},"\#(subject)":{"size":"\#(zeros)"}}"#,
                ]
            ),
            ("index", ["-1", "null", #""7""#, "07", "7.0", "7e0", "9007199254740992", "18446744073709551615"]),
            ("prev", ["null", #""""#, #""AAAA""#, #""\#(zeros)=""#, #""\#(zeros.dropLast(2))B=""#]),
            ("request", ["null", #""""#, #""019B76DA-4C0C-7000-8000-000000000002""#]),
            (
                "streams",
                [
                    "null", "[]", "{}", #"["\#(object)"]"#, #"[["\#(object)"]]"#, #"[["\#(object)",0,0]]"#,
                    #"[["\#(object)",-1]]"#, #"[["\#(object)","0"]]"#, #"[[0,"\#(object)"]]"#,
                    #"[["\#(object)",0],["\#(object)",0]]"#, #"[["\#(subject)",41],["\#(object)",0]]"#,
                    // One of the claims' scopes is missing.
                    #"[["\#(object)",0]]"#,
                ]
            ),
            ("submitter", ["null", #""""#, #""Deposit""#, #""deposit service""#]),
            ("time", ["null", "0", #""2026-01-01T00:00:00Z""#, #""2026-02-29T00:00:00.000000Z""#]),
            ("type", ["null", "1"]),
            ("v", ["0", "2", "null", #""1""#, "1.0", "true"]),
        ] as [(String, [String])]
    )
    func members(name: String, values: [String]) {
        for value in values {
            #expect(throws: EntryError.self, "\(value)") { try EntryTests.read(EntryTests.text(name, value)) }
        }
    }

    @Test("have at most 16 streams, 64 claims and 65,535 bytes")
    func limits() throws {
        func streams(_ count: Int) -> String {
            "["
                + (10..<(10 + count)).map { "[\"object/\($0)9b76da4c0c00000000000000000002\",0]" }.joined(
                    separator: ","
                ) + "]"
        }
        func claims(_ count: Int) -> String {
            "{\"\(EntryTests.object)\":{"
                + (10..<(10 + count)).map { "\"c\($0)\":\"\(EntryTests.zeros)\"" }.joined(separator: ",") + "}}"
        }
        let many = EntryTests.text("claims", "{}")
        func withStreams(_ count: Int) -> String {
            many.replacing(#"[["\#(EntryTests.object)",0],["\#(EntryTests.subject)",41]]"#, with: streams(count))
        }
        #expect(try EntryTests.read(withStreams(16)).streams.count == 16)
        #expect(throws: EntryError.self) { try EntryTests.read(withStreams(17)) }
        #expect(try EntryTests.read(EntryTests.text("claims", claims(64))).claims[0].claims.count == 64)
        #expect(throws: EntryError.self) { try EntryTests.read(EntryTests.text("claims", claims(65))) }

        let fixed = EntryTests.text("body", #"{"a":""}"#).utf8.count
        func filled(_ bytes: Int) -> String {
            EntryTests.text("body", #"{"a":"\#(String(repeating: "x", count: bytes - fixed))"}"#)
        }
        #expect(try EntryTests.read(filled(65_535)).encoded.count == 65_535)
        #expect(throws: EntryError(field: "entry", reason: "longer than 65535 bytes")) {
            try EntryTests.read(filled(65_536))
        }
    }

    @Test("nest 16 deep, the entry itself counted")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            EntryTests.text(
                "body",
                String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
            )
        }
        #expect(try EntryTests.read(nested(15)).encoded == Array(nested(15).utf8))
        #expect(throws: EntryError.self) { try EntryTests.read(nested(16)) }
        #expect(throws: JSONError.self) { try JSONReader.parse(Array(nested(16).utf8)) }
    }

    @Test("of other bytes are refused and never trap")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        let bytes = Array(EntryTests.text().utf8)
        for _ in 0..<3_000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let position = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: changed[position] = UInt8.random(in: 0...255, using: &generator)
                case 1: changed.remove(at: position)
                default: changed.insert(contentsOf: changed[position...].prefix(20), at: position)
                }
            }
            if let entry = try? Entry(changed) { #expect(entry.encoded == changed) }
        }
    }
}
