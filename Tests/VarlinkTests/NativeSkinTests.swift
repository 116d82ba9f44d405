import Glibc
import JSON
import Testing
import Varlink

/// The native skin: UAPI.20 Varlink as a client sees it.
@Suite struct NativeSkinTests {
    @Test func aCallIsAnsweredWithItsParametersByteForByte() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        // The service gets the slice of the message, spaces and escapes included.
        socket.send("{\"method\":\"org.example.toy.Echo\",\"parameters\":{ \"b\" : \"\\u00e9\",\"a\":[1]}}\0")
        #expect(socket.readMessage() == "{\"parameters\":{ \"b\" : \"\\u00e9\",\"a\":[1]}}")
    }

    @Test(arguments: [
        "{\"method\":\"org.example.toy.Echo\"}",
        "{\"method\":\"org.example.toy.Echo\",\"parameters\":null}",
        "{\"method\":\"org.example.toy.Echo\",\"parameters\":{}}",
        " \r\n\t{\"parameters\":{},\"method\":\"org.example.toy.Echo\",\"more\":false,\"oneway\":false}",
        "{\"method\":\"org.example.toy.Echo\",\"more\":true}",
    ])
    func envelopesAreReadInEveryAllowedForm(_ call: String) throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send(call + "\0")
        #expect(socket.readMessage() == "{\"parameters\":{}}")
    }

    @Test func oneByteAtATimeIsAMessageToo() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for byte in Array("{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"a\":1}}\0".utf8) {
            socket.send([byte])
        }
        #expect(socket.readMessage() == "{\"parameters\":{\"a\":1}}")
    }

    @Test func onlyTheFirstAnswerCounts() throws {
        let toy = try ToyServer()
        let client = try toy.client()
        #expect(try client.call("org.example.toy.Twice") == .members(["answer": .int(1)]))
        #expect(try client.call("org.example.toy.Encode") == .members(["late": .bool(true)]))
    }

    @Test func theServiceKnowsWhoCalls() throws {
        let toy = try ToyServer()
        let who = try toy.client().call("org.example.toy.Who")
        #expect(who["pid"]?.int == Int64(getpid()))
        #expect(who["uid"]?.int == Int64(getuid()))
        #expect(who["gid"]?.int == Int64(getgid()))
    }

    @Test func answersComeInTheOrderOfTheCallsHoweverTheyFinish() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        for id in 1...20 { socket.send("{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":\(id)}}\0") }
        #expect(eventually { toy.service.seen.count == 20 })
        #expect(toy.service.seen == Array(1...20))
        for id in [20, 3, 11, 2] + Array(4...10) + Array(12...19) { toy.service.release(Int64(id)) }
        usleep(20_000)
        // Everything waits for the first.
        #expect(socket.isSilent)
        toy.service.release(1)
        for id in 1...20 { #expect(socket.readMessage() == "{\"parameters\":{\"id\":\(id)}}") }
    }

    @Test func aThousandPipelinedCallsAreAllAnswered() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let calls = (0..<1_000).map { "{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"n\":\($0)}}\0" }
        socket.send(calls.joined())
        socket.finishSending()
        let expected = (0..<1_000).map { "{\"parameters\":{\"n\":\($0)}}\0" }.joined()
        let (text, end) = socket.readToEnd()
        #expect(text == expected)
        #expect(end == .closed)
    }

    @Test func aClientThatStopsSendingAndReadsLateStillGetsEveryAnswer() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        let padding = String(repeating: "x", count: 10_000)
        let call = "{\"method\":\"org.example.toy.Count\",\"more\":true,"
        // Together far more than both socket buffers hold.
        socket.send((0..<60).map { _ in call + "\"parameters\":{\"count\":3,\"bytes\":10000}}\0" }.joined())
        socket.finishSending()
        usleep(100_000)
        let (text, _) = socket.readToEnd()
        #expect(text.split(separator: "\0").count == 180)
        #expect(text.split(separator: "\0").last == "{\"parameters\":{\"index\":2,\"padding\":\"\(padding)\"}}")
    }

    @Test func onewayCallsAreHandledAndNeverAnswered() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("{\"method\":\"org.example.toy.Echo\",\"oneway\":true}\0")
        socket.send("{\"method\":\"org.example.toy.Nothing\",\"oneway\":true}\0")
        socket.send("{\"method\":\"org.nowhere.Nothing\",\"oneway\":true}\0")
        socket.send("{\"method\":\"org.example.toy.Echo\",\"parameters\":{\"a\":1}}\0")
        #expect(socket.readMessage() == "{\"parameters\":{\"a\":1}}")
        #expect(toy.service.calls == 3)
    }

    @Test func noMethodUpgrades() throws {
        let toy = try ToyServer()
        let socket = try toy.socket()
        socket.send("{\"method\":\"org.example.toy.Echo\",\"upgrade\":true}\0")
        let name = "org.varlink.service.MethodNotImplemented"
        #expect(socket.readMessage() == "{\"error\":\"\(name)\",\"parameters\":{\"method\":\"org.example.toy.Echo\"}}")
        #expect(toy.service.calls == 0)
        socket.send("{\"method\":\"org.example.toy.Echo\"}\0")
        #expect(socket.readMessage() == "{\"parameters\":{}}")
    }

    @Test func errorsCarryNameAndParameters() throws {
        let toy = try ToyServer()
        let client = try toy.client()
        let error = #expect(throws: VarlinkError.self) {
            try client.call("org.example.toy.Fail", .members(["error": .string("org.example.toy.Sad")]))
        }
        #expect(error?.name == "org.example.toy.Sad")
        #expect(error?.parameters == Array("{\"why\":7}".utf8))
        #expect(try client.call("org.example.toy.Echo") == .object([]))
    }

    @Test func theServiceDescribesItself() throws {
        let toy = try ToyServer()
        let client = try toy.client()
        let info = try client.call("org.varlink.service.GetInfo")
        #expect(
            info.canonicalBytes
                == JSONValue.members([
                    "vendor": .string("Example"), "product": .string("Toy \"1\""), "version": .string("0.1"),
                    "url": .string("https://toy.example/"),
                    "interfaces": .array([
                        .string("org.varlink.service"), .string("org.example.toy"), .string("org.example.other"),
                    ]),
                ]).canonicalBytes
        )
        let describe = "org.varlink.service.GetInterfaceDescription"
        let toyText = try client.call(describe, .members(["interface": .string("org.example.toy")]))
        #expect(toyText == .members(["description": .string(ToyService.idl)]))
        let own = try client.call(describe, .members(["interface": .string("org.varlink.service")]))
        let text = try #require(own["description"]?.string)
        for declaration in [
            "interface org.varlink.service", "method GetInfo()", "error ExpectedMore ()", "error PermissionDenied ()",
            "method GetInterfaceDescription(interface: string) -> (description: string)",
        ] {
            #expect(text.split(separator: "\n").contains { $0.hasPrefix(declaration) }, "\(declaration)")
        }
    }

    @Test(arguments: [
        (
            "org.varlink.service.GetInterfaceDescription", "{\"interface\":\"a.b\"}", "InterfaceNotFound", "interface",
            "a.b"
        ),
        ("org.varlink.service.GetInterfaceDescription", "{}", "InvalidParameter", "parameter", "interface"),
        (
            "org.varlink.service.GetInterfaceDescription", "{\"interface\":1}", "InvalidParameter", "parameter",
            "interface"
        ),
        ("org.varlink.service.Nothing", "{}", "MethodNotFound", "method", "org.varlink.service.Nothing"),
        ("org.example.toy.Nothing", "{}", "MethodNotFound", "method", "org.example.toy.Nothing"),
        ("org.example.Echo", "{}", "InterfaceNotFound", "interface", "org.example"),
        ("org.example.toy.Echo.Echo", "{}", "InterfaceNotFound", "interface", "org.example.toy.Echo"),
        ("Echo", "{}", "MethodNotFound", "method", "Echo"),
        (".Echo", "{}", "MethodNotFound", "method", ".Echo"),
        ("", "{}", "MethodNotFound", "method", ""),
    ])
    func whatIsNotThereIsSaidSo(_ method: String, _ parameters: String, _ error: String, _ key: String, _ value: String)
        throws
    {
        let toy = try ToyServer()
        let client = try toy.client()
        try client.send(method, Array(parameters.utf8))
        let thrown = #expect(throws: VarlinkError.self) { try client.receive() }
        #expect(thrown?.name == "org.varlink.service.\(error)")
        #expect(thrown?.parameters == Array("{\"\(key)\":\"\(value)\"}".utf8))
    }

    /// What is to be done for a client that left is dropped, and keeps nothing of the connection.
    @Test func workForALostConnectionIsDropped() throws {
        final class Witness: Sendable {}
        let toy = try ToyServer()
        var socket: RawSocket? = try toy.socket()
        socket?.send("{\"method\":\"org.example.toy.Hold\",\"parameters\":{\"id\":1}}\0")
        #expect(eventually { toy.service.seen == [1] })
        socket = nil
        #expect(eventually { toy.server.connections == 0 })
        weak var kept: Witness?
        do {
            let witness = Witness()
            kept = witness
            toy.service.take(1)?.perform { withExtendedLifetime(witness) {} }
        }
        #expect(kept == nil)
    }
}
