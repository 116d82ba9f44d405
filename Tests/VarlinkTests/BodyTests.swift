import Glibc
import JSON
import Testing

@testable import Varlink

/// Bodies of any length over HTTP: PUT to a sink, GET from a source.
@Suite struct BodyTests {
    private let bytes = ToyBodies.bytes(0..<300_000)

    private func put(_ length: Int, _ target: String = "/put", _ headers: String = "") -> String {
        "PUT \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\(headers)\r\n"
    }

    private func answer(to bytes: [UInt8]) -> String { ToyBodies.answer(UInt64(bytes.count), ToyBodies.hash(bytes)) }

    private let hello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

    // MARK: PUT

    @Test func aBodyGoesToTheSinkAndTheConnectionGoesOn() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for length in [0, 1, 65_536, 300_000] {
            socket.send(put(length, "/put?failAt=9000000", "Content-Type: text/x\r\nIdempotency-Key: \"a b\"\r\n"))
            socket.send(Array(bytes[..<length]))
            let reply = try socket.readHTTP()
            #expect(reply.status == 200 && reply.headers["content-type"] == "application/json")
            #expect(reply.body == answer(to: Array(bytes[..<length])))
        }
        // Nothing of the body is left to be taken for a request, and nothing of the next is taken for the body.
        socket.send(put(5) + "bytes" + hello + put(3) + "abc")
        #expect(try socket.readHTTP().body == answer(to: Array("bytes".utf8)))
        #expect(try socket.readHTTP().body == "hello\n")
        #expect(try socket.readHTTP().body == answer(to: Array("abc".utf8)))
        let state = toy.service.bodies.state
        #expect(state.finished == 6 && state.abandoned == 0 && !state.isMisused)
        let request = try #require(state.requests.first)
        #expect(request.path == "/put" && request.query == "failAt=9000000" && request.length == 0)
        #expect(request.contentType == "text/x" && request.idempotencyKey == "\"a b\"")
        #expect(toy.server.bodies == 0)
    }

    @Test func chunksAndBytesOneByOneAreABodyToo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let head = "PUT /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for byte in Array((head + "3;x=1\r\nabc\r\n0001\r\nd\r\n0\r\nTrailer: x\r\n\r\n").utf8) { socket.send([byte]) }
        #expect(try socket.readHTTP().body == answer(to: Array("abcd".utf8)))
        socket.send(head)
        for start in stride(from: 0, to: bytes.count, by: 30_000) {
            socket.send("7530\r\n")
            socket.send(Array(bytes[start..<start + 30_000]))
            socket.send("\r\n")
        }
        socket.send("0\r\n\r\n" + hello)
        #expect(try socket.readHTTP().body == answer(to: bytes))
        #expect(try socket.readHTTP().body == "hello\n")
        #expect(toy.service.bodies.state.requests.allSatisfy { $0.length == nil })
        // Chunks of a byte, in one go: a sink is not asked for each.
        socket.send(head + String(repeating: "1\r\nx\r\n", count: 10_000) + "0\r\n\r\n")
        #expect(try socket.readHTTP().body == answer(to: Array(repeating: 0x78, count: 10_000)))
        #expect(!toy.service.bodies.state.isMisused)
    }

    /// RFC 9110 section 10.1.1: 100 (Continue) only once it is clear that the body is wanted.
    @Test func whoAsksIsToldToGoOnOrWhatIsWrong() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(put(3, "/put", "Expect: 100-continue\r\n"))
        #expect(try socket.readHTTP().status == 100)
        #expect(toy.service.bodies.state.begun == 1)
        socket.send("abc")
        #expect(try socket.readHTTP().body == answer(to: Array("abc".utf8)))
        socket.send(put(3, "/put?refuse=true", "Expect: 100-continue\r\n"))
        let refused = try socket.readHTTP()
        #expect(refused.status == 404 && refused.headers["connection"] == "close")
        #expect(refused.body == "{\"error\":\"org.example.toy.NotFound\",\"parameters\":{}}")
        #expect(socket.readToEnd() == ("", .closed))
        #expect(toy.service.bodies.state.begun == 1)
    }

    @Test(arguments: [
        ("Content-Length: 3\r\nContent-Range: bytes 0-2/9\r\n", 400),
        ("Content-Length: 3\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Length: 3\r\nContent-Encoding: identity\r\n", 200), ("", 411),
        ("Content-Length: 3\r\nContent-Type: a\r\nContent-Type: a\r\n", 400),
        ("Content-Length: 3\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n", 400),
        ("Content-Length: 3\r\nIdempotency-Key: \u{E9}\r\n", 400),
        ("Content-Length: 3\r\nContent-Type: \u{E9}\r\n", 400),
    ])
    func aBodyIsTakenWholeAndAsItIsOrNotAtAll(_ headers: String, _ status: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("PUT /put HTTP/1.1\r\nHost: a\r\n\(headers)\r\n" + (headers.isEmpty ? "" : "abc"))
        #expect(try socket.readHTTP().status == status)
        #expect(toy.service.bodies.state.begun == (status == 200 ? 1 : 0))
    }

    @Test func olderClientsPutToo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("PUT /put HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        #expect(try socket.readHTTP().body == answer(to: Array("abc".utf8)))
        #expect(socket.readToEnd() == ("", .closed))
        let open = try toy.socket()
        open.send("PUT /put HTTP/1.0\r\n\r\nabc")
        #expect(try open.readHTTP().status == 411)
        #expect(toy.service.bodies.state.begun == 1)
    }

    @Test func whereNothingIsPutItIsNotAllowed() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for (request, allow) in [
            ("PUT /hello", "GET, HEAD"), ("DELETE /put", "GET, HEAD, PUT"), ("PUT /call/x", "POST"),
            ("GET /put", "PUT"),
        ] {
            socket.send("\(request) HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try socket.readHTTP()
            #expect(answer.status == 405 && answer.headers["allow"] == allow, "\(request)")
        }
        #expect(toy.service.bodies.state.begun == 0)
    }

    @Test func aSinkMayRefuseInTheMiddle() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(put(50_000_000, "/put?failAt=100000"))
        let begin = ContinuousClock.now
        #expect(socket.flood([UInt8](repeating: 1, count: 65_536), upTo: 8 << 20) == 8 << 20, "the rest is dropped")
        let refused = try socket.readHTTP()
        #expect(refused.status == 507 && refused.headers["connection"] == "close")
        #expect(refused.body == "{\"error\":\"org.example.toy.StoreFull\",\"parameters\":{}}")
        socket.finishSending()
        #expect(socket.readToEnd().end == .closed)
        #expect(ContinuousClock.now - begin < .seconds(4))
        let state = toy.service.bodies.state
        #expect(state.abandoned == 1 && state.finished == 0 && state.taken < 1 << 20 && !state.isMisused)
        #expect(try toy.isHealthy())
    }

    @Test(arguments: [false, true])
    func whatDoesNotComeToItsEndIsAbandoned(_ isHalf: Bool) throws {
        let toy = try ToyServer()
        var socket: RawSocket? = try toy.socket()
        socket?.send(put(200_000))
        socket?.send(Array(bytes[..<100_000]))
        #expect(eventually { toy.service.bodies.state.taken == 100_000 })
        if isHalf { socket?.finishSending() } else { socket = nil }
        #expect(eventually { toy.service.bodies.state.abandoned == 1 && toy.server.connections == 0 })
        // What no decoder takes is no end either.
        let chunked = try toy.socket()
        chunked.send("PUT /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n")
        #expect(eventually { toy.service.bodies.state.abandoned == 2 })
        let state = toy.service.bodies.state
        #expect(state.finished == 0 && !state.isMisused)
        #expect(eventually { toy.server.bodies == 0 })
    }

    /// A sink that takes nothing has the client wait, and is not handed more than it may be. Both skins.
    @Test(arguments: [false, true])
    func aSinkThatIsSlowHoldsTheClient(_ isNative: Bool) throws {
        let toy = try ToyServer()
        toy.service.bodies.change { $0.isBlocked = true }
        let socket = try toy.socket()
        if isNative {
            socket.send("{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":67108864},\"upgrade\":true}\0")
            #expect(socket.readMessage() == "{\"parameters\":{\"bytes\":67108864}}")
        } else {
            socket.send(put(64 << 20))
        }
        var timeout = timeval(tv_sec: 0, tv_usec: 500_000)
        setsockopt(socket.descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let sent = socket.flood([UInt8](repeating: 1, count: 65_536), upTo: 64 << 20)
        #expect(sent < 2 << 20, "\(sent) bytes were taken though the sink takes none")
        toy.service.bodies.change { $0.isBlocked = false }
        #expect(eventually { toy.service.bodies.state.taken == UInt64(sent) })
        #expect(toy.service.bodies.state.largest <= 256 << 10)
    }

    @Test func theAnswerMayComeLaterAndAClientThatLeftDoesNotChangeIt() throws {
        let toy = try ToyServer()
        var socket: RawSocket? = try toy.socket()
        socket?.send(put(3, "/put?hold=true") + "abc")
        #expect(eventually { toy.service.bodies.state.held.count == 1 })
        #expect(socket?.isSilent == true && toy.server.bodies == 1)
        socket = nil
        #expect(eventually { toy.server.connections == 0 })
        #expect(toy.server.bodies == 1)
        for _ in 1...2 { toy.service.bodies.state.held[0](.failure(VarlinkError(name: "org.example.toy.Busy"))) }
        #expect(toy.server.bodies == 0)
        #expect(toy.service.bodies.state.abandoned == 0 && toy.service.bodies.state.finished == 1)
        #expect(try toy.isHealthy())
    }

    // MARK: GET

    @Test func aSourceIsSentWithItsLength() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for length in [0, 1, 65_536, 131_072, 300_000] {
            socket.send("GET /get?bytes=\(length) HTTP/1.1\r\nHost: a\r\n\r\n")
            let (headers, body) = try socket.readHTTPBytes()
            #expect(headers["content-length"] == "\(length)" && body == Array(bytes[..<length]))
        }
        socket.send("HEAD /get?bytes=300000 HTTP/1.1\r\nHost: a\r\n\r\n" + hello)
        #expect(try socket.readHTTP(hasBody: false).headers["content-length"] == "300000")
        #expect(try socket.readHTTP().body == "hello\n")
        let state = toy.service.bodies.state
        #expect(state.begun == 6 && state.abandoned == 1 && state.given == 496_609 && !state.isMisused)
        socket.send("GET /query?a=%2e&b HTTP/1.1\r\nHost: a\r\n\r\nGET /query HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try socket.readHTTP().body == "a=%2e&b")
        #expect(try socket.readHTTP().body == "none")
        let old = try toy.socket()
        old.send("GET /get?bytes=3 HTTP/1.0\r\n\r\n")
        #expect(try old.readHTTPBytes().body == Array(bytes[..<3]))
        #expect(old.readToEnd() == ("", .closed))
        #expect(toy.server.bodies == 0)
    }

    /// At once it is an error like any other; later the answer is visibly not whole.
    @Test(arguments: [(10, 0), (10, 5), (1_000_000, 700_000), (10, 11), (65_536, 65_537), (1_000_000, 1_000_001)])
    func aSourceMayFail(_ length: Int, _ gives: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("GET /get?bytes=\(length)&gives=\(gives) HTTP/1.1\r\nHost: a\r\n\r\n")
        if length < 100_000 {
            #expect(try socket.readHTTP().status == 500)
            #expect(try toy.isHealthy())
        } else {
            let (text, end) = socket.readToEndBytes()
            let body = try #require(text.firstRange(of: Array("\r\n\r\n".utf8)).map { text[$0.upperBound...] })
            #expect(end == .closed && body.count < length && !body.isEmpty)
        }
        #expect(eventually { toy.service.bodies.state.abandoned == 1 && toy.server.bodies == 0 })
        #expect(!toy.service.bodies.state.isMisused)
    }

    @Test(arguments: [false, true])
    func aReaderThatStallsHoldsTheSourceAndOneThatLeavesEndsIt(_ isNative: Bool) throws {
        let toy = try ToyServer()
        var socket: RawSocket? = try toy.socket()
        socket?.send(
            isNative
                ? "{\"method\":\"org.example.toy.Get\",\"parameters\":{\"bytes\":67108864},\"upgrade\":true}\0"
                : "GET /get?bytes=67108864 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        #expect(eventually { toy.service.bodies.state.given > 0 })
        usleep(300_000)
        #expect(toy.service.bodies.state.given < 2 << 20)
        socket = nil
        #expect(eventually { toy.service.bodies.state.abandoned == 1 && toy.server.bodies == 0 })
        #expect(!toy.service.bodies.state.isMisused)
    }

    // MARK: How many, for whom, how slowly

    @Test func strangersGetNoBody() throws {
        let toy = try ToyServer()
        toy.service.connectAs(nil)
        let socket = try toy.socket()
        socket.send(put(3))
        #expect(try socket.readHTTP().status == 403)
        let getting = try toy.socket()
        for method in ["GET", "HEAD"] {
            getting.send("\(method) /get?bytes=3 HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try getting.readHTTP(hasBody: method == "GET").status == 403)
        }
        let native = try toy.socket()
        native.send("{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":3},\"upgrade\":true}\0")
        #expect(native.readMessage() == "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}")
        #expect(eventually { toy.service.bodies.state.abandoned == 2 && toy.service.bodies.state.begun == 2 })
    }

    @Test func bodiesBeyondTheLimitAreTurnedAway() throws {
        let toy = try ToyServer { limits in
            limits.bodies = 5
            limits.bodiesPerPrincipal = 2
            limits.reservedBodies = 1
        }
        var sockets: [RawSocket] = []
        for _ in 0..<3 {
            let socket = try toy.socket()
            socket.send(put(3))
            sockets.append(socket)
        }
        #expect(eventually { toy.service.bodies.state.begun == 2 })
        let refused = try sockets[2].readHTTP()
        #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
        #expect(refused.body == "{\"error\":\"org.varlink.service.Busy\",\"parameters\":{}}")
        let getting = try toy.socket()
        getting.send("GET /get?bytes=3 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try getting.readHTTP().status == 503)
        let native = try toy.socket()
        native.send("{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":3},\"upgrade\":true}\0")
        #expect(native.readMessage() == "{\"error\":\"org.varlink.service.Busy\",\"parameters\":{}}")
        // Nobody else has to wait for that.
        toy.service.connectAs("other")
        let other = try toy.socket()
        other.send(put(3) + "abc")
        #expect(try other.readHTTP().status == 200)
        // A place is free as soon as the answer is there.
        for _ in 0..<20 {
            sockets[0].send("abc" + put(3))
            #expect(try sockets[0].readHTTP().status == 200)
        }
    }

    @Test(arguments: [false, true])
    func whoDoesNotMoveOnIsLetGo(_ isNative: Bool) throws {
        let toy = try ToyServer { $0.bodyIdleSeconds = 1 }
        let slow = try toy.socket()
        let begin = ContinuousClock.now
        if isNative {
            slow.send("{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":9},\"upgrade\":true}\0")
            #expect(slow.readMessage() != nil)
            slow.send("a")
            #expect(slow.readMessage() == "{\"error\":\"org.varlink.service.TooSlow\",\"parameters\":{}}")
        } else {
            slow.send(put(9) + "a")
            let answer = try slow.readHTTP()
            #expect(answer.status == 408)
            #expect(answer.body == "{\"error\":\"org.varlink.service.TooSlow\",\"parameters\":{}}")
        }
        #expect(slow.readToEnd() == ("", .closed))
        #expect(.milliseconds(900)...(.seconds(4)) ~= ContinuousClock.now - begin)
        let reader = try toy.socket()
        reader.send(
            isNative
                ? "{\"method\":\"org.example.toy.Get\",\"parameters\":{\"bytes\":67108864},\"upgrade\":true}\0"
                : "GET /get?bytes=67108864 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        #expect(eventually { toy.service.bodies.state.abandoned == 2 && toy.server.bodies == 0 })
        #expect(!toy.service.bodies.state.isMisused)
    }

    /// A message has to be there in time; a body may take what time it takes, and a sink, too.
    @Test func aBodyMayTakeLongerThanAMessage() throws {
        let toy = try ToyServer { limits in
            limits.messageSeconds = 1
            limits.bodyIdleSeconds = 1
        }
        let socket = try toy.socket()
        socket.send(put(6))
        for byte in "abcdef".utf8 {
            usleep(400_000)
            socket.send([byte])
        }
        #expect(try socket.readHTTP().body == answer(to: Array("abcdef".utf8)))
        toy.service.bodies.change { $0.isBlocked = true }
        socket.send(put(100_000))
        socket.send(Array(bytes[..<100_000]))
        usleep(2_500_000)
        toy.service.bodies.change { $0.isBlocked = false }
        #expect(try socket.readHTTP().body == answer(to: Array(bytes[..<100_000])))
    }

    @Test func theEndOfTheServerAbandonsWhatIsUnderWay() throws {
        let toy = try ToyServer()
        let sockets = try (0..<4).map { _ in try toy.socket() }
        sockets[0].send(put(9) + "a")
        sockets[1].send("GET /get?bytes=67108864 HTTP/1.1\r\nHost: a\r\n\r\n")
        sockets[2].send("{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":9},\"upgrade\":true}\0")
        sockets[3].send("{\"method\":\"org.example.toy.PutLater\",\"parameters\":{\"bytes\":9},\"upgrade\":true}\0")
        #expect(eventually { toy.service.bodies.state.begun == 3 && toy.service.bodies.calls.all.count == 2 })
        let begin = ContinuousClock.now
        toy.stop(drainSeconds: 5)
        #expect(ContinuousClock.now - begin < .seconds(3))
        #expect(toy.service.bodies.state.abandoned == 3)
        // Nor is one kept that a service has for a connection that is gone.
        let call = try #require(toy.service.bodies.calls.all.last)
        call.upgrade(to: toy.service.bodies.sink(.object([])), bytes: 9, reply: Array("{}".utf8))
        #expect(!toy.service.bodies.state.isMisused)
    }

    @Test func theEndOfTheServerWaitsForAWholeBody() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(put(3, "/put?hold=true") + "abc")
        #expect(eventually { toy.service.bodies.state.held.count == 1 })
        let service = toy.service
        let thread = Thread {
            usleep(300_000); service.bodies.state.held[0](.success(Array("{}".utf8)))
        }
        toy.stop(drainSeconds: 5)
        thread.join()
        #expect(try socket.readHTTP().body == "{}")
        #expect(service.bodies.state.abandoned == 0)
    }
}
