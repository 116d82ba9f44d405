import Glibc
import JSON
import Testing

@testable import Varlink

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
        ("org.example.toy.Throttled", 429), ("org.example.toy.StoreFull", 507),
        ("org.example.toy.Corrupt", 500), ("org.example.toy.MessageNotFound", 500), ("Busyness", 500), ("", 500),
    ])
    func errorsHaveAStatus(_ name: String, _ status: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Fail", "{\"error\":\"\(name)\"}"))
        let answer = try socket.readHTTP()
        #expect(answer.status == status)
        #expect(answer.headers["content-type"] == "application/json")
        #expect(answer.headers["retry-after"] == ([429, 503].contains(status) ? "1" : nil))
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

    // MARK: RFC 9110 and RFC 9112

    @Test func everyAnswerIsDated() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for request in ["GET /hello", "GET /nothing", "PUT /hello", "POST /call/org.example.toy.Nothing"] {
            socket.send("\(request) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            let date = try #require(try socket.readHTTP().headers["date"])
            #expect(date.utf8.count == 29 && date.hasSuffix(" GMT"))
        }
        // The examples of RFC 9110 section 5.6.7 and of RFC 7231's HTTP-date, and the day a leap year ends its February.
        #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(1_709_251_199) == "Thu, 29 Feb 2024 23:59:59 GMT")
    }

    @Test(arguments: [
        ("PUT /hello", "GET, HEAD"), ("GET /call/org.example.toy.Echo", "POST"), ("HEAD /call/x", "POST"),
        ("DELETE /call/x", "POST"), ("OPTIONS *", "GET, HEAD, POST, PUT"),
    ])
    func whatIsNotAllowedSaysWhatIs(_ request: String, _ allow: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("\(request) HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try socket.readHTTP(hasBody: !request.hasPrefix("HEAD"))
        #expect(answer.status == 405 && answer.headers["allow"] == allow)
    }

    @Test(arguments: [("", 400), ("Host: a\r\nHost: a\r\n", 400), ("Host: a\r\n", 200), ("Host:\r\n", 200)])
    func aRequestHasOneHost(_ headers: String, _ status: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("GET /hello HTTP/1.1\r\n\(headers)\r\n")
        let answer = try socket.readHTTP()
        #expect(answer.status == status)
        if status == 400 { #expect(socket.readToEnd() == ("", .closed)) }
    }

    /// RFC 3986 section 3.2.2 and its examples in section 1.1.2; RFC 9110 section 7.2.
    @Test(
        arguments: [
            "ledger", "a.example:8080", "a:", "192.0.2.16:80", "[2001:db8::7]", "[::1]:443", "[v1.fe:d]", "a%2Db",
            "a_b~!$&'()*+,;=",
            "",
        ].map { ($0, 200) }
            + [
                "a b", "a/b", "a?b", "a@b", "a:b", "a:80:80", "a:80x", "[::1", "::1", "[::1]x", "[g::1]", "[]", "[v.a]",
                "[v1.]", "a%2",
                "a%zz", "a\\b", "a\"b", "a#b", "\u{4e2d}", "a, b", "<a>",
            ].map { ($0, 400) }
    )
    func aHostHasItsForm(_ host: String, _ status: Int) throws {
        let toy = try ToyServer()
        for version in ["1.1", "1.0"] {
            let socket = try toy.socket()
            socket.send("GET /hello HTTP/\(version)\r\nHost: \(host)\r\n\r\n")
            #expect(try socket.readHTTP().status == status)
            if status == 400 { #expect(socket.readToEnd() == ("", .closed)) }
        }
    }

    /// RFC 9112: what a server must refuse, and must not go on after.
    @Test(arguments: [
        // 2.2: no white space before the first field, no bare CR; 3: one request line.
        "GET /hello HTTP/1.1\r\n Host: a\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n", "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        // 3.2: targets of no form.
        "GET /hello#x HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///hello HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://:80/hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a@b/hello HTTP/1.1\r\nHost: a\r\n\r\n", "GET hello HTTP/1.1\r\nHost: a\r\n\r\n",
        // 5.1: no white space before the colon; 5.2: no folded lines.
        "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        // 6.1: no transfer coding in HTTP/1.0, also beside a length.
        "POST /call/org.example.toy.Echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /call/org.example.toy.Echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
            + "Content-Length: 2\r\n\r\n{}",
        // 6.3: lengths that are none, or several.
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2x\r\n\r\n{}",
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        // 7.1: a chunk's size is hex, and fits.
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "10000000000000002\r\n{}\r\n0\r\n\r\n",
        // 2.3: a version that is none.
        "GET /hello http/1.1\r\nHost: a\r\n\r\n", "GET /hello HTTP/1\r\nHost: a\r\n\r\n",
    ])
    func whatIsNoRequestIsRefusedAndTheConnectionEnds(_ request: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(request + "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try socket.readHTTP()
        #expect(answer.status == 400 || answer.status == 501 && request.contains("gzip"))
        #expect(answer.headers["connection"] == "close")
        #expect(socket.readToEnd() == ("", .closed), "nothing behind it is taken for a request")
        #expect(toy.service.calls == 0)
    }

    /// RFC 9112 section 6.1: a transfer coding it does not know is 501.
    @Test(arguments: ["gzip, chunked", "identity", "chunked, chunked", "x"])
    func noOtherTransferCodingIsTaken(_ coding: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(
            "POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \(coding)\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        #expect([400, 501].contains(try socket.readHTTP().status))
        #expect(socket.readToEnd() == ("", .closed) && toy.service.calls == 0)
    }

    /// The first head, a later one, and one whose beginning came with the request before.
    @Test(arguments: [
        ("", "GET /hello HTTP/1.1\r\nHost: a"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /h", "ello HTTP/1.1\r\nHost: a"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nG", ""),
    ])
    func everyHeadHasToEndInTime(_ before: String, _ slowly: String) throws {
        let toy = try ToyServer { $0.messageSeconds = 1 }
        let socket = try toy.socket()
        if !before.isEmpty {
            socket.send(before)
            #expect(try socket.readHTTP().body == "hello\n")
        }
        // A kept connection may be silent for longer than that.
        if before.hasSuffix("\r\n\r\n") { usleep(1_500_000) }
        let begin = ContinuousClock.now
        for byte in Array(slowly.utf8) {
            guard socket.send([byte]) == 1 else { break }
            usleep(150_000)
        }
        #expect(socket.readToEnd() == ("", .closed))
        #expect(ContinuousClock.now - begin < .seconds(4))
        #expect(try toy.isHealthy())
    }

    @Test func lineEndsBetweenRequestsAreNone() throws {
        let toy = try ToyServer { $0.messageSeconds = 1 }
        let socket = try toy.socket()
        for _ in 1...2 {
            socket.send(post("org.example.toy.Echo", "{}"))
            #expect(try socket.readHTTP().status == 200)
            socket.send("\r\n")
            usleep(1_300_000)
        }
        socket.send(post("org.example.toy.Echo", "{}"))
        #expect(try socket.readHTTP().status == 200)
    }

    @Test(arguments: ["http://ledger", "HTTP://ledger:80", "https://a"])
    func targetsInAbsoluteFormAreServed(_ origin: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("GET \(origin)/hello?x HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try socket.readHTTP().body == "hello\n")
        socket.send("POST \(origin)/call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        #expect(try socket.readHTTP().body == "{}")
        socket.send("GET \(origin) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try socket.readHTTP().status == 404)
    }

    @Test func lineEndsBeforeTheFirstRequestAreSkipped() throws {
        let toy = try ToyServer()
        let http = try toy.socket()
        for byte in Array("\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n".utf8) { http.send([byte]) }
        #expect(try http.readHTTP().body == "hello\n")
        let native = try toy.socket()
        native.send("\r\n{\"method\":\"org.example.toy.Echo\"}\0")
        #expect(native.readMessage() == "{\"parameters\":{}}")
        let endless = try toy.socket()
        #expect(endless.flood([UInt8](repeating: 10, count: 1_000), upTo: 1 << 20) < 1 << 20)
    }

    @Test func olderClientsGetNoChunksAndNoContinue() throws {
        let toy = try ToyServer()
        let stream = try toy.socket()
        let body = "{\"count\":2}"
        stream.send(
            "POST /call/org.example.toy.Count HTTP/1.0\r\nAccept: application/json-seq\r\nConnection: keep-alive\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        let (text, end) = stream.readToEnd()
        #expect(end == .closed && !text.lowercased().contains("transfer-encoding"))
        let items = (0..<2).map { "\u{1E}{\"index\":\($0),\"padding\":\"\"}\n" }.joined()
        #expect(text.hasSuffix("\r\n\r\n" + items))

        let asking = try toy.socket()
        asking.send("POST /call/org.example.toy.Echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
        #expect(try asking.readHTTP().status == 200)
    }

    @Test func olderClientsAreKeptWhereTheyAskAndAreToldSo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for _ in 1...2 {
            socket.send("GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            #expect(try socket.readHTTP().headers["connection"] == "keep-alive")
        }
        socket.send("GET /hello HTTP/1.0\r\n\r\n")
        #expect(try socket.readHTTP().headers["connection"] == "close")
        #expect(socket.readToEnd() == ("", .closed))
    }
}
