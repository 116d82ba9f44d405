import Glibc
import Testing
import Varlink

/// The client for GETs against the server's HTTP skin, and against answers no server should give.
@Suite struct HTTPClientTests {
    @Test func answersComeInTheOrderOfTheRequests() throws {
        let toy = try ToyServer()
        let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        for _ in 0..<3 {
            for _ in 0..<50 {
                try client.send(get: "/hello")
                try client.send(get: "/nothing")
            }
            for _ in 0..<50 {
                let hello = try client.receive()
                #expect(hello.status == 200 && !hello.body.isEmpty)
                #expect(try client.receive().status == 404)
            }
        }
    }

    @Test func nobodyThereIsUnreachable() {
        #expect(throws: VarlinkClientError.self) { try HTTPClient(path: "/nowhere/at/all") }
    }

    /// What the client makes of an answer, nil where it refuses it.
    private func receive(_ answer: String) throws -> String? {
        let path = "/tmp/evidenced-client-\(UInt64.random(in: 0...UInt64.max)).sock"
        let listener = try RawSocket.listen(at: path)
        defer {
            close(listener)
            unlink(path)
        }
        let client = try HTTPClient(path: path, timeoutSeconds: 5)
        try client.send(get: "/checkpoint")
        let server = RawSocket(descriptor: accept(listener, nil, nil))
        server.send(answer)
        guard let received = try? client.receive() else { return nil }
        return String(decoding: received.body, as: UTF8.self)
    }

    @Test func aHeadIsReadAsBytes() throws {
        // RFC 9110 section 5.1: names have no case; 5.5: blanks around a value are no part of it, within it they are.
        #expect(try receive("HTTP/1.1 200 OK\r\nCONTENT-Length:\t 4 \r\n\r\nbody") == "body")
        #expect(try receive("HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\nbody and more") == nil)
        #expect(try receive("HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody") == nil)
        // Marks that a String would make one character with the blank, colon or line end before them.
        #expect(try receive("HTTP/1.1 200 \u{301}OK\r\nContent-Length: 4\r\n\r\nbody") == "body")
        #expect(try receive("HTTP/1.1 200 OK\r\nA:\u{301}\r\n\u{301}B: 1\r\nContent-Length: 4\r\n\r\nbody") == "body")
        #expect(try receive("HTTP/1.1 200 OK\r\nContent-Length:\u{301}4\r\n\r\nbody") == nil)
    }
}
