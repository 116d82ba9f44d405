import Glibc
import JSON
import Testing
import Varlink

/// The HTTP binding on the same socket.
@Suite struct HTTPSkinTests {
    private func post(_ method: String, _ body: String, _ headers: String = "") -> String {
        "POST /call/\(method) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)"
    }

    @Test func aCallIsAPost() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Echo", "{ \"a\" : 1 }"))
        let answer = try socket.readHTTP()
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "application/json")
        #expect(answer.body == "{ \"a\" : 1 }")
    }

    @Test func noBodyIsNoParameters() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Echo?ignored=1", ""))
        #expect(try socket.readHTTP().body == "{}")
        socket.send(post("org.example.toy.Encode", ""))
        #expect(try socket.readHTTP().body == "{\"late\":true}")
        socket.send(post("org.example.toy.Twice", ""))
        #expect(try socket.readHTTP().body == "{\"answer\":1}")
        socket.send(post("org.varlink.service.GetInfo", ""))
        let info = try JSONReader.parse(Array(try socket.readHTTP().body.utf8))
        #expect(info["vendor"] == .string("Example"))
    }

    @Test func aChunkedBodyIsABodyToo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let head = "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for byte in Array((head + "3;ext=1\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nTrailer: x\r\n\r\n").utf8) {
            socket.send([byte])
        }
        #expect(try socket.readHTTP().body == "{\"a\":1}")
    }

    @Test(arguments: [
        ("org.varlink.service.InvalidParameter", 400), ("org.varlink.service.ExpectedMore", 400),
        ("org.example.toy.InvalidEvent", 400), ("org.example.toy.InvalidArgument", 400),
        ("org.varlink.service.PermissionDenied", 403), ("org.example.toy.PermissionDenied", 403),
        ("org.varlink.service.MethodNotFound", 404), ("org.varlink.service.InterfaceNotFound", 404),
        ("org.example.toy.NotFound", 404), ("org.example.toy.RequestConflict", 409),
        ("org.example.toy.ErasedClaims", 410), ("org.example.toy.TooLarge", 413),
        ("org.varlink.service.MethodNotImplemented", 501), ("org.example.toy.Busy", 503),
        ("org.example.toy.ClockUnconfirmed", 503), ("org.example.toy.Stopping", 503),
        ("org.example.toy.StoreFull", 507),
        ("org.example.toy.Corrupt", 500), ("org.example.toy.MessageNotFound", 500), ("Busyness", 500), ("", 500),
    ])
    func errorsHaveAStatus(_ name: String, _ status: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Fail", "{\"error\":\"\(name)\"}"))
        let answer = try socket.readHTTP()
        #expect(answer.status == status)
        #expect(answer.headers["content-type"] == "application/json")
        #expect(answer.headers["retry-after"] == (status == 503 ? "1" : nil))
        #expect(answer.body == "{\"error\":\"\(name)\",\"parameters\":{\"why\":7}}")
        #expect(try toy.isHealthy())
    }

    @Test(arguments: [
        ("org.example.toy.Nothing", "{}", 404), ("org.nowhere.Nothing", "{}", 404), ("", "{}", 404),
        ("org.example.toy.Echo", "[]", 400), ("org.example.toy.Echo", "{\"a\":1,\"a\":2}", 400),
        ("org.example.toy.Echo", "{} {}", 400), ("org.example.toy.Echo", "{\"a\":1.5}", 400),
        ("org.example.toy.Count", "{}", 400),
    ])
    func callsThatCannotBeAreRefusedAndTheConnectionGoesOn(_ method: String, _ body: String, _ status: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post(method, body))
        let answer = try socket.readHTTP()
        #expect(answer.status == status)
        #expect(try JSONReader.parse(Array(answer.body.utf8))["error"] != nil)
        socket.send(post("org.example.toy.Echo", "{\"b\":2}"))
        #expect(try socket.readHTTP().body == "{\"b\":2}")
    }

    @Test func resourcesAreReadWithGetAndHead() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("GET /hello?x HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try socket.readHTTP()
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "text/x-toy")
        #expect(answer.body == "hello\n")
        socket.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try socket.readHTTP(hasBody: false)
        #expect(head.status == 200)
        #expect(head.headers["content-length"] == "6")
        socket.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
        let missing = try socket.readHTTP()
        #expect(missing.status == 404)
        #expect(missing.body == "nothing")
    }

    @Test(arguments: ["PUT /hello", "DELETE /hello", "OPTIONS *", "PATCH /call/org.example.toy.Echo"])
    func otherMethodsAreNotAllowed(_ request: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("\(request) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try socket.readHTTP().status == 405)
        socket.send("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try socket.readHTTP().status == 404)
        #expect(toy.service.calls == 0)
    }

    @Test func connectionsAreKeptOrClosedAsAsked() throws {
        let toy = try ToyServer()
        let kept = try toy.socket()
        for _ in 1...3 {
            kept.send(post("org.example.toy.Echo", ""))
            #expect(try kept.readHTTP().headers["connection"] == nil)
        }
        let closed = try toy.socket()
        closed.send(post("org.example.toy.Echo", "", "Connection: close\r\n"))
        let answer = try closed.readHTTP()
        #expect(answer.headers["connection"] == "close")
        #expect(answer.body == "{}")
        #expect(closed.readToEnd() == ("", .closed))
        let old = try toy.socket()
        old.send("GET /hello HTTP/1.0\r\n\r\n")
        #expect(try old.readHTTP().body == "hello\n")
        #expect(old.readToEnd() == ("", .closed))
    }

    @Test func pipelinedRequestsAreAnsweredInOrderOneAtATime() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let requests = (1...5).map { post("org.example.toy.Hold", "{\"id\":\($0)}") }
        socket.send(requests.joined())
        socket.finishSending()
        for id in 1...5 {
            #expect(eventually { toy.service.seen.last == Int64(id) })
            toy.service.release(Int64(id))
            #expect(try socket.readHTTP().body == "{\"id\":\(id)}")
        }
        // It sent all it will and has all its answers.
        #expect(socket.readToEnd() == ("", .closed))
    }

    @Test func aClientThatStopsSendingGetsItsAnswerAndIsLetGo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Hold", "{\"id\":1}"))
        socket.finishSending()
        #expect(eventually { toy.service.seen == [1] })
        toy.service.release(1)
        #expect(try socket.readHTTP().body == "{\"id\":1}")
        #expect(socket.readToEnd() == ("", .closed))
        #expect(eventually { toy.server.connections == 0 })
    }

    @Test func aLongAnswerIsNotCutWhereTheClientStopsSending() throws {
        let toy = try ToyServer()
        let body = "{\"a\":\"" + String(repeating: "x", count: 4 << 20) + "\"}"
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Echo", body))
        usleep(50_000)
        socket.finishSending()
        #expect(try socket.readHTTP().body == body)
    }

    @Test(arguments: [
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    func noProtocolIsSwitchedTo(_ request: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(request)
        #expect([200, 405].contains(try socket.readHTTP().status))
        // What follows would be kept for a protocol that never comes.
        _ = socket.flood([UInt8](repeating: 120, count: 1 << 20), upTo: 64 << 20)
        #expect(socket.readToEnd().end == .closed)
        #expect(try toy.isHealthy())
    }
}
