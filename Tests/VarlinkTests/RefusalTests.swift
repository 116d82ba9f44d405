import Glibc
import Testing

@testable import Varlink

/// Clients that are refused: for whom they are, for what they ask, for how much they send. Each is told why, and costs
/// next to nothing.
@Suite struct RefusalTests {
    private let denied = "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}"

    private func tooLarge(_ limit: Int) -> String {
        "{\"error\":\"org.varlink.service.TooLarge\",\"parameters\":{\"limit\":\(limit),\"what\":\"message\"}}"
    }

    private func post(_ method: String, length: Int, _ headers: String = "") -> String {
        "POST /call/\(method) HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\(headers)\r\n"
    }

    @Test(arguments: [false, true])
    func aLongCallIsRefusedForItsMethodBeforeItEnds(_ ends: Bool) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let padding = String(repeating: " ", count: 20_000)
        socket.send("{\"method\":\"org.example.toy.Echo\"}\0{\"method\":\"org.example.toy.Forbidden\",\"parameters\":{")
        socket.send(padding + (ends ? "}}\0" : ""))
        #expect(socket.readMessage() == "{\"parameters\":{}}")
        #expect(socket.readMessage() == denied)
        #expect(socket.readToEnd() == ("", .closed))
        // What is short is read in any case, and the connection goes on.
        let short = try toy.socket()
        short.send("{\"method\":\"org.example.toy.Forbidden\"}\0{\"method\":\"org.example.toy.Echo\"}\0")
        #expect(short.readMessage() == denied)
        #expect(short.readMessage() == "{\"parameters\":{}}")
        #expect(toy.service.calls == 2)
    }

    @Test func aLongBodyIsNotWaitedForWhereItsCallIsRefused() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(post("org.example.toy.Forbidden", length: 10 << 20))
        let answer = try socket.readHTTP()
        #expect(answer.status == 403 && answer.headers["connection"] == "close")
        // All of it can be sent, so that nobody sees a broken pipe in place of the answer.
        #expect(socket.flood([UInt8](repeating: 32, count: 1 << 20), upTo: 10 << 20) == 10 << 20)
        #expect(socket.readToEnd() == ("", .closed))
        let short = try toy.socket()
        short.send(
            post("org.example.toy.Forbidden", length: 3) + "{ }" + post("org.example.toy.Echo", length: 2) + "{}"
        )
        #expect(try short.readHTTP().status == 403)
        #expect(try short.readHTTP().body == "{}")
    }

    @Test func aMessageTooLongIsAnsweredAndTheRestOfItTaken() throws {
        let toy = try ToyServer { $0.messageBytes = 10_000 }
        for ends in [false, true] {
            let socket = try toy.socket()
            socket.send("{\"method\":\"org.example.toy.Echo\"}\0")
            let head = "{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"a\":\""
            socket.send(head + String(repeating: "x", count: 1 << 20) + (ends ? "\"}}\0" : ""))
            #expect(socket.readMessage() == "{\"parameters\":{}}")
            #expect(socket.readMessage() == tooLarge(10_000))
            #expect(socket.readToEnd() == ("", .closed))
        }
        #expect(try toy.isHealthy())
    }

    @Test func aBodyTooLongIsAnsweredAndTheRestOfItTaken() throws {
        let toy = try ToyServer { $0.messageBytes = 10_000 }
        let block = [UInt8](repeating: 120, count: 1 << 20)
        let announced = try toy.socket()
        announced.send(post("org.example.toy.Echo", length: 8 << 20))
        #expect(announced.flood(block, upTo: 8 << 20) == 8 << 20)
        let answer = try announced.readHTTP()
        #expect(answer.status == 413 && answer.body == tooLarge(10_000))
        let chunked = try toy.socket()
        chunked.send("POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<4 { chunked.send(Array("100000\r\n".utf8) + block + Array("\r\n".utf8)) }
        chunked.send("0\r\n\r\n")
        #expect(try chunked.readHTTP().status == 413)
        #expect(chunked.readToEnd() == ("", .closed))
    }

    @Test func whoNeverEndsIsNotReadForEver() throws {
        let toy = try ToyServer { $0.messageBytes = 10_000 }
        let block = [UInt8](repeating: 120, count: 1 << 16)
        for start in ["{\"method\":\"", post("org.example.toy.Echo", length: 1 << 30)] {
            let socket = try toy.socket()
            socket.send(start)
            #expect(socket.flood(block, upTo: 200 << 20) < 100 << 20)
        }
    }

    @Test(arguments: [
        "{}", "[]", "", "{\"method\":1}", "{\"method\":\"org.example.toy.Echo\"", "{\"method\":\"a\"} x",
        "{\"method\":\"org.example.toy.Echo\",\"more\":1}", "{\"method\":\"org.example.toy.Echo\",\"other\":null}",
        "{\"method\":\"org.example.toy.Echo\",\"more\":true,\"oneway\":true}",
    ])
    func whatIsNoCallIsAnsweredAfterTheCallsBeforeIt(_ text: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":1}}\0\(text)\0{\"method\":\"a.b\"}\0")
        #expect(eventually { toy.service.seen == [1] })
        toy.service.release(1)
        #expect(socket.readMessage() == "{\"parameters\":{\"id\":1}}")
        let name = "org.varlink.service.InvalidParameter"
        #expect(socket.readMessage() == "{\"error\":\"\(name)\",\"parameters\":{\"parameter\":\"message\"}}")
        #expect(socket.readToEnd() == ("", .closed))
    }

    @Test func flagsThatAreNullAreAsGoodAsAbsent() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let flags = "\"more\":null,\"oneway\":null,\"upgrade\":null,\"parameters\":null"
        socket.send("{\"method\":\"org.example.toy.Echo\",\(flags)}\0")
        #expect(socket.readMessage() == "{\"parameters\":{}}")
    }

    // MARK: Strangers

    @Test func strangersShareAFewConnectionsAndPrincipalsLoseNone() throws {
        let toy = try ToyServer { limits in
            limits.strangerConnections = 2
            limits.connections = 2
        }
        toy.service.connectAs(nil)
        let strangers = try (0..<5).map { _ in try toy.socket() }
        #expect(eventually { toy.server.connections == 2 })
        for socket in strangers { socket.send("{\"method\":\"org.varlink.service.GetInfo\"}\0") }
        #expect(strangers.count { $0.readMessage() != nil } == 2)
        toy.service.connectAs("shop")
        #expect(try toy.isHealthy())
    }

    @Test func aStrangersMessageIsShort() throws {
        let toy = try ToyServer { $0.strangerMessageBytes = 4 << 10 }
        toy.service.connectAs(nil)
        let padding = String(repeating: " ", count: 5_000)
        let allowed = try toy.socket()
        allowed.send("{\"method\":\"org.example.toy.Echo\",\"parameters\":{" + padding)
        #expect(allowed.readMessage() == tooLarge(4_096))
        // Who may not call at all is told so rather than that it was too long.
        let refused = try toy.socket()
        refused.send("{\"method\":\"org.example.toy.Forbidden\",\"parameters\":{" + padding)
        #expect(refused.readMessage() == denied)
        #expect(refused.readToEnd() == ("", .closed))
        let http = try toy.socket()
        http.send(post("org.example.toy.Echo", length: 5_000))
        #expect(try http.readHTTP().status == 413)
        #expect(toy.service.calls == 0)
    }

    @Test func aStrangersConnectionEndsWhateverItDoes() throws {
        let toy = try ToyServer { $0.strangerSeconds = 1 }
        toy.service.connectAs(nil)
        let busy = try toy.socket()
        let silent = try toy.socket()
        let slow = try toy.socket()
        slow.send("{")
        let begin = ContinuousClock.now
        while busy.send("{\"method\":\"org.varlink.service.GetInfo\"}\0") > 0, busy.readMessage() != nil {}
        #expect(busy.readToEnd().end == .closed && silent.readToEnd().end == .closed)
        #expect(slow.readToEnd().end == .closed)
        #expect(ContinuousClock.now - begin < .seconds(4))
    }

    // MARK: Much at once

    @Test func noMoreCallsRunThanMayBeInFlight() throws {
        let toy = try ToyServer { $0.inFlight = 4 }
        let socket = try toy.socket()
        for id in 1...10 { socket.send("{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":\(id)}}\0") }
        #expect(eventually { toy.service.seen.count >= 4 })
        usleep(50_000)
        #expect(toy.service.seen == [1, 2, 3, 4])
        toy.service.release(1)
        #expect(socket.readMessage() == "{\"parameters\":{\"id\":1}}")
        #expect(eventually { toy.service.seen.count >= 5 })
        usleep(20_000)
        #expect(toy.service.seen == [1, 2, 3, 4, 5])
        for id in Int64(2)...10 {
            #expect(eventually { toy.service.seen.contains(id) })
            toy.service.release(id)
            #expect(socket.readMessage() == "{\"parameters\":{\"id\":\(id)}}")
        }
    }

    @Test func longAndShortCallsAreHandedOnInTheOrderTheyCame() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let padding = String(repeating: "x", count: 40_000)
        for id in 1...20 {
            let parameters = id.isMultiple(of: 3) ? "{\"id\":\(id),\"x\":\"\(padding)\"}" : "{\"id\":\(id)}"
            socket.send("{\"method\":\"org.example.toy.Hold\",\"parameters\":\(parameters)}\0")
        }
        #expect(eventually { toy.service.seen.count == 20 })
        #expect(toy.service.seen == Array(1...20))
        for id in 1...20 { toy.service.release(Int64(id)) }
        for id in 1...20 { #expect(socket.readMessage() == "{\"parameters\":{\"id\":\(id)}}") }
    }

    /// A burst that is longer than a turn of the loop is taken to its end, also where its client sends nothing more.
    @Test func aBurstOfManyTurnsIsAnswered() throws {
        let toy = try ToyServer { $0.inFlight = 1_000 }
        let socket = try toy.socket()
        let padding = String(repeating: "x", count: 1_000)
        let calls = (0..<200).map {
            "{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"n\":\($0),\"x\":\"\(padding)\"}}\0"
        }
        socket.send(calls.joined())
        socket.finishSending()
        let (text, end) = socket.readToEnd()
        #expect(end == .closed)
        #expect(text == (0..<200).map { "{\"parameters\":{\"n\":\($0),\"x\":\"\(padding)\"}}\0" }.joined())
    }

    /// Unfinished messages of one principal have to make room for another's.
    @Test func whoHoldsAllTheRoomIsToldBusyAndNotWhoComesAfter() throws {
        let toy = try ToyServer { limits in
            limits.messageBytes = 1 << 20
            limits.inputBytes = 2 << 20
        }
        let block =
            "{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"a\":\"" + String(repeating: "x", count: 900_000)
        toy.service.connectAs("flood")
        let flood = try (0..<4).map { _ in try toy.socket() }
        for socket in flood { socket.send(block) }
        let busy = "{\"error\":\"org.varlink.service.Busy\",\"parameters\":{}}"
        #expect(eventually { toy.server.heldInputBytes > 1 << 20 })
        #expect(toy.server.heldInputBytes <= (2 << 20) + (64 << 10))
        toy.service.connectAs("quiet")
        let quiet = try toy.socket()
        quiet.send(block + "\"}}\0")
        let answer = quiet.readMessage()
        #expect(answer?.utf8.count ?? 0 > 900_000)
        for socket in flood { socket.send("\"}}\0") }
        let answers = flood.map { $0.readMessage() }
        #expect(answers.contains(busy))
        #expect(eventually { toy.server.heldInputBytes == 0 })
    }
}
