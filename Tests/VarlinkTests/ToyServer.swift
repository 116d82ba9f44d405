import Glibc
import JSON
import Synchronization
import Testing
import Varlink

/// A toy service behind a socket in a directory of its own.
final class ToyServer {
    // Binding sets the umask of the process, which must not hit what another test creates.
    private static let creation = Mutex(())

    let service = ToyService()
    let server: VarlinkServer
    let directory: String
    let path: String
    private let isStopped = Mutex(false)

    init(workers: Int = 1, loops: Int = 1, _ change: (inout VarlinkLimits) -> Void = { _ in }) throws {
        var limits = VarlinkLimits()
        change(&limits)
        directory = try ToyServer.makeDirectory()
        path = directory + "/socket"
        server = VarlinkServer(service: service, limits: limits, loops: loops, workers: workers)
        try ToyServer.creation.withLock { _ in try server.start(.path(path, mode: 0o600)) }
    }

    deinit {
        stop()
        unlink(path)
        rmdir(directory)
    }

    static func makeDirectory() throws -> String {
        var template = Array("/tmp/varlink-test-XXXXXX".utf8CString)
        return try creation.withLock { _ in
            try template.withUnsafeMutableBufferPointer { buffer in
                try #require(buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) })
            }
        }
    }

    /// Starts a server where the umask can do no harm.
    static func start(_ server: VarlinkServer, _ endpoint: VarlinkServer.Endpoint) throws {
        try creation.withLock { _ in try server.start(endpoint) }
    }

    func stop(drainSeconds: Int = 0) {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        if isFirst { server.stop(drainSeconds: drainSeconds) }
    }

    func client() throws -> VarlinkClient { try VarlinkClient(path: path, timeoutSeconds: 5) }

    func socket() throws -> RawSocket { try RawSocket(path: path) }

    /// Whether a well-behaved client of each skin is answered.
    func isHealthy() throws -> Bool {
        let native = try client().call("org.example.toy.Echo", .members(["a": .int(1)]))
        let socket = try socket()
        socket.send("POST /call/org.example.toy.Echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{\"a\":1}")
        let answer = try socket.readHTTP()
        return native == .members(["a": .int(1)]) && answer.status == 200 && answer.body == "{\"a\":1}"
    }
}

/// Waits until a condition holds, for five seconds at most.
func eventually(_ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(5)
    while !condition() {
        if ContinuousClock.now > end { return false }
        usleep(1_000)
    }
    return true
}
