import NIOCore
import Testing

@testable import Varlink

/// Messages of the native skin, cut out of what comes in any pieces.
@Suite struct FramingTests {
    private func text(_ front: MessageFramer.Front) -> String {
        switch front {
        case .message(let bytes): String(buffer: bytes)
        case .incomplete: "incomplete"
        case .tooLong: "too long"
        }
    }

    @Test(arguments: 1...12)
    func messagesAreCutAtTheirEndsHoweverTheyCome(_ piece: Int) {
        var framer = MessageFramer(limit: 5)
        var seen: [String] = []
        var rest = Array("ab\0\0cdefg\0h".utf8)[...]
        while !rest.isEmpty {
            var bytes = ByteBuffer(bytes: rest.prefix(piece))
            rest = rest.dropFirst(piece)
            framer.append(&bytes)
            while case .message(let message) = framer.next() { seen.append(String(buffer: message)) }
            framer.compact()
        }
        #expect(seen == ["ab", "", "cdefg"])
        #expect(framer.count == 1)
    }

    @Test(arguments: [("12345", "incomplete"), ("123456", "too long"), ("12345\0", "12345"), ("123456\0", "too long")])
    func theLimitIsTheMessages(_ sent: String, _ expected: String) {
        var framer = MessageFramer(limit: 5)
        var bytes = ByteBuffer(string: sent)
        framer.append(&bytes)
        #expect(text(framer.next()) == expected)
    }

    @Test(arguments: [
        ("{\"method\":\"a.b\",\"parameters\":{\"x", "a.b"), (" {\"more\" : true, \"method\" : \"a.\\u0062\"", "a.b"),
        ("{\"parameters\":{\"a\":[1,2]},\"method\":\"a.b\"", "a.b"), ("{\"parameters\":{\"a\":[1,2", nil),
        ("{\"method\":\"a.", nil), ("{\"method\":1", nil), ("[", nil), ("", nil), ("{}", nil),
        ("{\"parameters\":{\"method\":\"a.b\"}", nil),
    ])
    func theMethodIsFoundInTheBeginning(_ beginning: String, _ method: String?) {
        #expect(CallMessage.method(beginning: Array(beginning.utf8)) == method)
    }
}
