import Testing

@testable import Varlink

/// Queries, read strictly. RFC 3986 sections 2.1 and 3.4 say what may stand in one.
@Suite struct QueryTests {
    private func error(_ query: String, _ known: [String] = ["a", "b"]) -> HTTPQueryError? {
        do throws(HTTPQueryError) {
            _ = try HTTPQuery(query, known: known)
            return nil
        } catch {
            return error
        }
    }

    @Test func fieldsAreBytes() throws {
        let query = try HTTPQuery("a=%00%ff%C3%a9-._~!$'()*,;:@/?=&b=", known: ["a", "b", "c"])
        #expect(query.bytes("a") == [0, 0xFF, 0xC3, 0xA9] + Array("-._~!$'()*,;:@/?=".utf8))
        #expect(query.bytes("b")?.isEmpty == true && query.bytes("c") == nil)
        #expect(try HTTPQuery("%61=1", known: ["a"]).bytes("a") == [0x31], "a name may be encoded, too")
        #expect(try HTTPQuery(nil, known: []).bytes("a") == nil)
        #expect(try HTTPQuery("", known: []).bytes("a") == nil)
    }

    @Test(arguments: [
        "a", "a=1&", "&a=1", "a=1&&b=2", "c=1", "=1", "A=1", "a%00=1", "a\u{301}=1", "%C3%28=1", "a=1;b=2&x",
    ])
    func whatIsNoQueryIsRefused(_ query: String) {
        #expect(error(query)?.field == "query")
    }

    @Test(arguments: [
        "%", "%4", "%4g", "%g4", "+", "1 2", "é", "\"", "<", "\\", "^", "`", "{", "|", "\u{7F}", "#", "%%41",
    ])
    func whatMayNotStandInAValueIsRefused(_ value: String) {
        #expect(error("a=\(value)")?.field == "a")
    }

    @Test func aFieldIsThereOnce() {
        #expect(error("a=1&a=1") == HTTPQueryError(field: "a", rule: "must be given once"))
        #expect(error("a=1&%61=1") == HTTPQueryError(field: "a", rule: "must be given once"))
    }

    @Test func typesAreKept() throws {
        let query = try HTTPQuery(
            "a=18446744073709551615&b=%ff&c=true&d=false&e=",
            known: ["a", "b", "c", "d", "e", "f"]
        )
        #expect(try query.number("a", in: 0...UInt64.max) == UInt64.max)
        #expect(try query.number("f", in: 0...1) == nil)
        #expect(try query.flag("c") == true && query.flag("d") == false && query.flag("f") == nil)
        #expect(try query.text("e")?.isEmpty == true && query.text("f") == nil)
        #expect(throws: HTTPQueryError(field: "b", rule: "must be UTF-8")) { try query.text("b") }
        #expect(throws: HTTPQueryError(field: "f", rule: "must be given")) { try query.requiredText("f") }
        #expect(throws: HTTPQueryError(field: "e", rule: "must be true or false")) { try query.flag("e") }
        #expect(throws: HTTPQueryError(field: "a", rule: "must be an integer from 0 to 9")) {
            try query.number("a", in: 0...9)
        }
    }

    @Test(arguments: ["", "-1", "%2B1", "01", "00", "1.0", "1e3", "0x1", "18446744073709551616", "%20", "\u{661}"])
    func whatIsNoNumberIsRefused(_ text: String) throws {
        guard let query = try? HTTPQuery("a=\(text)", known: ["a"]) else { return #expect(text == "\u{661}") }
        #expect(throws: HTTPQueryError.self) { try query.number("a", in: 0...UInt64.max) }
    }
}
