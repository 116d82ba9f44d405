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
}
