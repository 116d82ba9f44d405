import Glibc
import JSON
import Testing
import Varlink

/// Answers that go on, in both skins.
@Suite struct StreamTests {
    private func count(_ count: Int, bytes: Int = 0, failAt: Int = -1) -> String {
        "{\"bytes\":\(bytes),\"count\":\(count),\"failAt\":\(failAt)}"
    }

    private func nativeCall(_ method: String, _ parameters: String = "{}") -> String {
        "{\"method\":\"org.example.toy.\(method)\",\"more\":true,\"parameters\":\(parameters)}\0"
    }

    private func httpCall(_ method: String, _ parameters: String = "{}") -> String {
        "POST /call/org.example.toy.\(method) HTTP/1.1\r\nHost: a\r\nAccept: application/json-seq\r\n"
            + "Content-Length: \(parameters.utf8.count)\r\n\r\n\(parameters)"
    }

    @Test func everyItemButTheLastContinues() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(nativeCall("Count", count(3)))
        #expect(socket.readMessage() == "{\"continues\":true,\"parameters\":{\"index\":0,\"padding\":\"\"}}")
        #expect(socket.readMessage() == "{\"continues\":true,\"parameters\":{\"index\":1,\"padding\":\"\"}}")
        #expect(socket.readMessage() == "{\"parameters\":{\"index\":2,\"padding\":\"\"}}")
    }

    @Test func overHTTPItIsAJSONTextSequence() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(httpCall("Count", count(3)))
        let answer = try socket.readHTTP()
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "application/json-seq")
        // RFC 7464 section 2.2: each text between a record separator and a line feed.
        let items = (0..<3).map { "\u{1E}{\"index\":\($0),\"padding\":\"\"}\n" }
        #expect(answer.body == items.joined())
        socket.send(httpCall("Echo", "{\"a\":1}"))
        #expect(try socket.readHTTP().body == "{\"a\":1}")
    }

    @Test func aStreamMayFailAtOnceOrLater() throws {
        let toy = try ToyServer()
        let native = try toy.socket()
        native.send(nativeCall("Count", count(9, failAt: 1)))
        #expect(native.readMessage() == "{\"continues\":true,\"parameters\":{\"index\":0,\"padding\":\"\"}}")
        #expect(native.readMessage() == "{\"error\":\"org.example.toy.Busy\",\"parameters\":{}}")
        native.send(nativeCall("Echo"))
        #expect(native.readMessage() == "{\"parameters\":{}}")

        let http = try toy.socket()
        http.send(httpCall("Count", count(9, failAt: 0)))
        let refused = try http.readHTTP()
        #expect(refused.status == 503)
        #expect(refused.body == "{\"error\":\"org.example.toy.Busy\",\"parameters\":{}}")
        http.send(httpCall("Count", count(9, failAt: 1)))
        let broken = try http.readHTTP()
        #expect(broken.status == 200)
        #expect(broken.body.hasSuffix("\u{1E}{\"error\":\"org.example.toy.Busy\",\"parameters\":{}}\n"))
    }

    @Test func whoTakesOneAnswerOnlyIsToldSo() throws {
        let toy = try ToyServer()
        let error = #expect(throws: VarlinkError.self) { try toy.client().call("org.example.toy.Count") }
        #expect(error == .expectedMore)
        let socket = try toy.socket()
        socket.send("POST /call/org.example.toy.Count HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        let answer = try socket.readHTTP()
        #expect(answer.status == 400)
        #expect(answer.body == "{\"error\":\"org.varlink.service.ExpectedMore\",\"parameters\":{}}")
        #expect(toy.service.pulled == 0)
    }

    @Test func aStreamWaitsForTheCallsBeforeItAndHoldsThoseAfterIt() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let hold = "{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":"
        socket.send(hold + "1}}\0" + nativeCall("Count", count(2)) + hold + "2}}\0")
        #expect(eventually { toy.service.seen == [1] })
        usleep(50_000)
        #expect(toy.service.pulled == 0)
        #expect(toy.service.seen == [1])
        toy.service.release(1)
        #expect(socket.readMessage() == "{\"parameters\":{\"id\":1}}")
        #expect(socket.readMessage() == "{\"continues\":true,\"parameters\":{\"index\":0,\"padding\":\"\"}}")
        #expect(socket.readMessage() == "{\"parameters\":{\"index\":1,\"padding\":\"\"}}")
        #expect(eventually { toy.service.seen == [1, 2] })
        toy.service.release(2)
        #expect(socket.readMessage() == "{\"parameters\":{\"id\":2}}")
    }

    @Test(arguments: [false, true])
    func aReaderThatStallsHoldsTheStreamAndLosesNothing(_ isHTTP: Bool) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let total = 4_000
        socket.send(
            isHTTP ? httpCall("Count", count(total, bytes: 1_000)) : nativeCall("Count", count(total, bytes: 1_000))
        )
        var before = -1
        #expect(
            eventually {
                usleep(100_000)
                defer { before = toy.service.pulled }
                return before > 0 && before == toy.service.pulled
            },
            "the stream runs on although nobody reads"
        )
        // The socket's buffer and the server's water mark, together well below a megabyte.
        #expect(toy.service.pulled < 1_000)
        #expect(try toy.isHealthy())

        let padding = String(repeating: "x", count: 1_000)
        if isHTTP {
            let items = (0..<total).map { "\u{1E}{\"index\":\($0),\"padding\":\"\(padding)\"}\n" }
            #expect(try socket.readHTTP().body == items.joined())
        } else {
            for index in 0..<total {
                let continues = index == total - 1 ? "" : "\"continues\":true,"
                let expected = "{\(continues)\"parameters\":{\"index\":\(index),\"padding\":\"\(padding)\"}}"
                guard socket.readMessage() == expected else {
                    Issue.record("item \(index) is missing")
                    break
                }
            }
        }
        #expect(toy.service.pulled == total)
    }

    @Test(arguments: [false, true])
    func aStreamThatWaitsIsAskedAgainOnceWoken(_ isHTTP: Bool) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(isHTTP ? httpCall("Follow") : nativeCall("Follow"))
        #expect(eventually { toy.service.followers == 1 })
        usleep(20_000)
        #expect(socket.isSilent)
        let items: [Int64] = Array(1...200)
        // Waking while an item is being made must not lose the next.
        for item in items { toy.service.publish([item]) }
        toy.service.publish([], isOver: true)
        if isHTTP {
            let expected = items.map { "\u{1E}{\"index\":\($0)}\n" }.joined() + "\u{1E}{\"over\":true}\n"
            #expect(try socket.readHTTP().body == expected)
        } else {
            for item in items {
                #expect(socket.readMessage() == "{\"continues\":true,\"parameters\":{\"index\":\(item)}}")
            }
            #expect(socket.readMessage() == "{\"parameters\":{\"over\":true}}")
        }
        // A stream that is over cannot be woken.
        toy.service.publish([5])
        #expect(try toy.isHealthy())
    }

    @Test(arguments: [false, true])
    func aStreamThatWakesItselfIsAskedAgain(_ isHTTP: Bool) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(isHTTP ? httpCall("Seek", "{\"steps\":100}") : nativeCall("Seek", "{\"steps\":100}"))
        if isHTTP {
            #expect(try socket.readHTTP().body == "\u{1E}{\"index\":100}\n")
        } else {
            #expect(socket.readMessage() == "{\"parameters\":{\"index\":100}}")
        }
    }

    @Test(arguments: [false, true])
    func whoLeavesAStreamIsForgotten(_ isHTTP: Bool) throws {
        let toy = try ToyServer()
        for leavesHalf in [false, true] {
            var socket: RawSocket? = try toy.socket()
            socket?.send(isHTTP ? httpCall("Follow") : nativeCall("Follow"))
            let expected = leavesHalf ? 2 : 1
            #expect(eventually { toy.service.followers == expected })
            #expect(toy.server.connections == 1)
            if leavesHalf { socket?.finishSending() } else { socket = nil }
            #expect(eventually { toy.server.connections == 0 }, "half: \(leavesHalf)")
            socket = nil
        }
        toy.service.publish([1, 2, 3])
        #expect(try toy.isHealthy())
    }

    @Test func theClientStreamsUntilTheEndOrUntilItHasEnough() throws {
        let toy = try ToyServer()
        var seen: [Int64] = []
        let parameters = JSONValue.members(["count": .int(10)])
        try toy.client().stream("org.example.toy.Count", parameters) { item in
            seen.append(item["index"]?.int ?? -1)
            return true
        }
        #expect(seen == Array(0..<10))
        seen = []
        try toy.client().stream("org.example.toy.Count", parameters) { item in
            seen.append(item["index"]?.int ?? -1)
            return seen.count < 3
        }
        #expect(seen == [0, 1, 2])
    }
}
