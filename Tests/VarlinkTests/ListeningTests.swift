import Glibc
import NIOCore
import Testing

@testable import Varlink

/// The socket itself: whose it is, who may use it, and who comes to it.
@Suite struct ListeningTests {
    private final class Place {
        let directory: String
        var path: String { directory + "/s" }

        init() throws { directory = try ToyServer.makeDirectory() }

        deinit {
            unlink(path)
            rmdir(directory)
        }

        func mode() throws -> UInt32 {
            var status = stat()
            try #require(lstat(path, &status) == 0)
            return status.st_mode & 0o7777
        }

        var exists: Bool { access(path, F_OK) == 0 }
    }

    private func server() -> VarlinkServer { VarlinkServer(service: ToyService(), loops: 1, workers: 1) }

    private func isServed(_ path: String) -> Bool {
        (try? VarlinkClient(path: path, timeoutSeconds: 5).call("org.example.toy.Echo")) != nil
    }

    @Test(arguments: [UInt32(0o600), 0o666, 0o660])
    func theSocketHasItsPermissionsAndIsRemovedAtTheEnd(_ mode: UInt32) throws {
        let place = try Place()
        let server = server()
        try server.start(.path(place.path, mode: mode))
        #expect(try place.mode() == mode)
        #expect(isServed(place.path))
        server.stop(drainSeconds: 0)
        #expect(!place.exists)
    }

    @Test func whatAServerThatIsGoneLeftIsReplaced() throws {
        let place = try Place()
        close(try RawSocket.listen(at: place.path))
        let server = server()
        try server.start(.path(place.path, mode: 0o600))
        #expect(isServed(place.path))
        server.stop(drainSeconds: 0)
    }

    @Test func aServerThatAnswersKeepsItsPath() throws {
        let toy = try ToyServer()
        let late = server()
        #expect(throws: IOError.self) { try late.start(.path(toy.path, mode: 0o600)) }
        #expect(isServed(toy.path))
        late.stop(drainSeconds: 0)
        #expect(isServed(toy.path), "whoever did not get the path does not remove it")
    }

    @Test func whatIsNoSocketIsLeft() throws {
        let place = try Place()
        let descriptor = open(place.path, O_CREAT | O_WRONLY, 0o600)
        close(descriptor)
        #expect(throws: IOError.self) { try server().start(.path(place.path, mode: 0o600)) }
        #expect(place.exists)
    }

    /// Whoever took the path over meanwhile, such as a successor, is not cut off by the end of the one before.
    @Test func theSocketOfAnotherIsNotRemoved() throws {
        let place = try Place()
        let first = server()
        try first.start(.path(place.path, mode: 0o600))
        unlink(place.path)
        let second = server()
        try second.start(.path(place.path, mode: 0o600))
        first.stop(drainSeconds: 0)
        #expect(isServed(place.path))
        second.stop(drainSeconds: 0)
        #expect(!place.exists)
    }

    @Test func aSocketFromTheServiceManagerIsServedAndLeft() throws {
        let place = try Place()
        let descriptor = try RawSocket.listen(at: place.path)
        let server = server()
        try server.start(.inherited(descriptor))
        #expect(isServed(place.path))
        server.stop(drainSeconds: 0)
        #expect(place.exists)
    }

    /// As long as nobody takes them in, as many may wait as the system lets; a client that doesn't block is not refused.
    @Test func asManyMayWaitAsTheSystemLets() throws {
        let place = try Place()
        let listener = try ListeningSocket(path: place.path, mode: 0o600)
        defer { listener.close() }
        let file = try #require(fopen("/proc/sys/net/core/somaxconn", "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 32)
        try #require(fgets(&line, Int32(line.count), file) != nil)
        // No more than this process may have open.
        let most = min(atol(line), 600)
        let clients = try (0...most).map { _ in try RawSocket(path: place.path, isBlocking: false) }
        #expect(clients.count == most + 1)
    }

    /// Nothing is made for who knocks and runs, and who comes behind a storm of them is served.
    @Test func whoIsGoneAgainIsLetGo() throws {
        let place = try Place()
        let descriptor = try RawSocket.listen(at: place.path)
        for _ in 0..<10 { _ = try RawSocket(path: place.path) }
        let late = try RawSocket(path: place.path)
        late.send("{\"method\":\"org.example.toy.Echo\"}\0")
        let service = ToyService()
        let server = VarlinkServer(service: service, loops: 1, workers: 1)
        try server.start(.inherited(descriptor))
        #expect(late.readMessage() == "{\"parameters\":{}}")
        #expect(service.asked == 1)
        server.stop(drainSeconds: 0)
    }

    @Test func aStrangersPlaceIsFreeAgainOnlyAfterAWhile() throws {
        let toy = try ToyServer { $0.strangerConnections = 2 }
        toy.service.connectAs(nil)
        var answered = 0
        let begin = ContinuousClock.now
        while ContinuousClock.now - begin < .milliseconds(700) {
            let socket = try toy.socket()
            socket.send("{\"method\":\"org.varlink.service.GetInfo\"}\0")
            if socket.readMessage() != nil { answered += 1 }
        }
        #expect(answered == 2)
        #expect(
            eventually {
                (try? toy.socket()).map { $0.send("{\"method\":\"a.b\"}\0") > 0 && $0.readMessage() != nil } == true
            }
        )
    }
}
