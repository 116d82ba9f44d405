import Glibc
import JSON
import Testing

@testable import Varlink

/// Bodies in the native skin: calls with `upgrade`.
@Suite struct UpgradeTests {
    private func call(_ method: String, _ parameters: String, upgrade: Bool = true) -> String {
        "{\"method\":\"org.example.toy.\(method)\",\"parameters\":\(parameters)\(upgrade ? ",\"upgrade\":true" : "")}\0"
    }

    private func reply(to bytes: [UInt8]) -> String {
        "{\"parameters\":\(ToyBodies.answer(UInt64(bytes.count), ToyBodies.hash(bytes)))}"
    }

    @Test(arguments: [0, 1, 65_536, 300_000])
    func aBodyGoesToTheSinkAndTheConnectionEndsWithItsAnswer(_ length: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Put", "{\"bytes\":\(length)}"))
        #expect(socket.readMessage() == "{\"parameters\":{\"bytes\":\(length)}}")
        let bytes = ToyBodies.bytes(0..<UInt64(length))
        socket.send(bytes)
        #expect(socket.readMessage() == reply(to: bytes))
        #expect(socket.readToEnd() == ("", .closed))
        #expect(eventually { toy.server.connections == 0 && toy.server.bodies == 0 })
        let state = toy.service.bodies.state
        #expect(state.finished == 1 && state.abandoned == 0 && !state.isMisused)
    }

    @Test func aClientThatEndsItsSideGetsTheAnswer() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Put", "{\"bytes\":3}"))
        #expect(socket.readMessage() != nil)
        socket.send("abc")
        socket.finishSending()
        #expect(socket.readMessage() == reply(to: Array("abc".utf8)))
    }

    @Test(arguments: [0, 1, 65_536, 131_072, 300_000])
    func aSourceIsSentBehindTheReply(_ length: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Get", "{\"bytes\":\(length)}"))
        #expect(socket.readMessage() == "{\"parameters\":{\"bytes\":\(length)}}")
        let (bytes, end) = socket.readToEndBytes()
        #expect(end == .closed && bytes == ToyBodies.bytes(0..<UInt64(length)))
        #expect(eventually { toy.server.bodies == 0 })
        #expect(toy.service.bodies.state.abandoned == 0 && !toy.service.bodies.state.isMisused)
    }

    @Test func aSourceThatFailsIsCutShort() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Get", "{\"bytes\":1000000,\"gives\":700000}"))
        #expect(socket.readMessage() != nil)
        let (bytes, end) = socket.readToEndBytes()
        #expect(end == .closed && bytes.count < 1_000_000)
        #expect(toy.service.bodies.state.abandoned == 1 && !toy.service.bodies.state.isMisused)
    }

    /// A method that has a body is called with `upgrade`, and no other is.
    @Test func upgradeBelongsToMethodsWithABody() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Put", "{\"bytes\":3}", upgrade: false) + call("Echo", "{\"a\":1}", upgrade: true))
        #expect(socket.readMessage() == "{\"error\":\"org.varlink.service.ExpectedUpgrade\",\"parameters\":{}}")
        let method = "{\"method\":\"org.example.toy.Echo\"}"
        #expect(
            socket.readMessage() == "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":\(method)}"
        )
        socket.send("{\"method\":\"org.varlink.service.GetInfo\",\"upgrade\":true}\0")
        #expect(socket.readMessage()?.contains("MethodNotImplemented") == true)
        #expect(toy.service.calls == 0, "nothing is done that could not be answered")
        let http = try toy.socket()
        http.send("POST /call/org.example.toy.Put HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n{\"bytes\":3}")
        let answer = try http.readHTTP()
        #expect(answer.status == 400)
        #expect(answer.body == "{\"error\":\"org.varlink.service.ExpectedUpgrade\",\"parameters\":{}}")
        #expect(toy.service.bodies.state.begun == 0 && toy.server.bodies == 0)
    }

    /// The calls before it are answered first; a call that is refused leaves the connection as it was.
    @Test func anUpgradeWaitsForTheCallsBeforeIt() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let hold = "{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":1}}\0"
        socket.send(hold + call("Put", "{\"bytes\":3}"))
        #expect(eventually { toy.service.seen == [1] })
        usleep(50_000)
        #expect(toy.service.bodies.state.begun == 0)
        toy.service.release(1)
        #expect(socket.readMessage() == "{\"parameters\":{\"id\":1}}")
        #expect(socket.readMessage() == "{\"parameters\":{\"bytes\":3}}")
        socket.send("abc")
        #expect(socket.readMessage() == reply(to: Array("abc".utf8)))

        let refused = try toy.socket()
        refused.send(call("Forbidden", "{}") + call("Echo", "{\"a\":1}", upgrade: false))
        #expect(refused.readMessage() == "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}")
        #expect(refused.readMessage() == "{\"parameters\":{\"a\":1}}")
    }

    /// What comes before the reply may be a call as well as a body: it is taken for neither.
    @Test(arguments: ["Put", "Get"], [0, 1])
    func nothingMayFollowBeforeTheReply(_ method: String, _ pause: UInt32) throws {
        let toy = try ToyServer()
        let echo = call("Echo", "{\"a\":1}", upgrade: false)
        let socket = try toy.socket()
        if pause == 0 {
            socket.send(call(method, "{\"bytes\":\(echo.utf8.count)}") + echo)
        } else {
            // It comes while the service thinks, and nobody reads it.
            socket.send(call("PutLater", "{\"bytes\":\(echo.utf8.count)}"))
            #expect(eventually { toy.service.bodies.calls.all.count == 1 })
            socket.send(echo)
            let call = toy.service.bodies.calls.all[0]
            if method == "Put" {
                let sink = toy.service.bodies.sink(.object([]))
                call.upgrade(to: sink, bytes: UInt64(echo.utf8.count), reply: call.parameters)
            } else {
                call.upgrade(from: toy.service.bodies.source(.object([])), reply: call.parameters)
            }
        }
        let rule = "{\"parameter\":\"upgrade: nothing may follow before the reply\"}"
        #expect(socket.readMessage() == "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":\(rule)}")
        #expect(socket.readToEnd() == ("", .closed))
        let state = toy.service.bodies.state
        #expect(eventually { toy.service.bodies.state.abandoned == 1 })
        #expect(state.taken == 0 && state.finished == 0 && state.given == 0 && toy.service.calls == 1)
        #expect(eventually { toy.server.bodies == 0 })
    }

    @Test(arguments: [5, 200_000])
    func moreThanTheCallSaidIsNoBody(_ length: Int) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Put", "{\"bytes\":\(length)}"))
        #expect(socket.readMessage() != nil)
        socket.send(ToyBodies.bytes(0..<UInt64(length + 1)))
        let rule = "{\"parameter\":\"upgrade: more bytes than the call said\"}"
        #expect(socket.readMessage() == "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":\(rule)}")
        #expect(eventually { toy.service.bodies.state.abandoned == 1 })
        #expect(toy.service.bodies.state.finished == 0 && !toy.service.bodies.state.isMisused)
    }

    @Test func aSinkMayRefuseInTheMiddle() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call("Put", "{\"bytes\":50000000,\"failAt\":100000}"))
        #expect(socket.readMessage() != nil)
        let begin = ContinuousClock.now
        #expect(socket.flood([UInt8](repeating: 1, count: 65_536), upTo: 8 << 20) == 8 << 20, "the rest is dropped")
        #expect(socket.readMessage() == "{\"error\":\"org.example.toy.StoreFull\",\"parameters\":{}}")
        socket.finishSending()
        #expect(socket.readToEnd().end == .closed)
        #expect(ContinuousClock.now - begin < .seconds(4))
        let state = toy.service.bodies.state
        #expect(state.abandoned == 1 && state.finished == 0 && !state.isMisused)
    }

    @Test(arguments: [false, true])
    func whatDoesNotComeToItsEndIsAbandoned(_ isHalf: Bool) throws {
        let toy = try ToyServer()
        var socket: RawSocket? = try toy.socket()
        socket?.send(call("Put", "{\"bytes\":200000}"))
        #expect(socket?.readMessage() != nil)
        socket?.send(ToyBodies.bytes(0..<100_000))
        #expect(eventually { toy.service.bodies.state.taken == 100_000 })
        if isHalf { socket?.finishSending() } else { socket = nil }
        #expect(eventually { toy.service.bodies.state.abandoned == 1 && toy.server.connections == 0 })
        #expect(toy.service.bodies.state.finished == 0 && !toy.service.bodies.state.isMisused)
        // Nor does who is gone before the reply leave anything behind.
        socket = try toy.socket()
        socket?.send(call("PutLater", "{\"bytes\":3}"))
        #expect(eventually { toy.service.bodies.calls.all.count == 2 })
        socket = nil
        #expect(eventually { toy.server.connections == 0 })
        toy.service.bodies.calls.all[1].upgrade(
            to: toy.service.bodies.sink(.object([])),
            bytes: 3,
            reply: [0x7B, 0x7D]
        )
        #expect(eventually { toy.service.bodies.state.abandoned == 2 && toy.server.bodies == 0 })
    }
}
