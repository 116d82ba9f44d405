import Glibc
import JSON
import Synchronization
import Testing

@testable import Varlink

/// Clients that send bodies and mean harm. Whatever they do: others are answered, memory stays bounded, and nothing is
/// left of them.
@Suite(.serialized) struct HostileBodyTests {
    private static let isLong = getenv("EVIDENCED_LONG") != nil
    private let block = [UInt8](repeating: 0x78, count: 65_536)

    /// A client that behaves, of the same principal: short calls, and such as need a worker.
    private final class Bystander: Sendable {
        private let state = Mutex((waits: [Duration](), isOver: false, failed: false))
        private let thread = Mutex<Thread?>(nil)

        init(_ path: String) {
            let made = Thread { [self] in run(path) }
            thread.withLock { $0 = made }
        }

        private func run(_ path: String) {
            do {
                let client = try VarlinkClient(path: path, timeoutSeconds: 30)
                let reader = try HTTPClient(path: path, timeoutSeconds: 30)
                while !state.withLock({ $0.isOver }) {
                    let begin = ContinuousClock.now
                    _ = try client.call("org.example.toy.Echo", .members(["a": .int(1)]))
                    try reader.send(get: "/hello")
                    let isRead = try reader.receive().status == 200
                    let wait = ContinuousClock.now - begin
                    state.withLock { state in
                        state.waits.append(wait)
                        state.failed = state.failed || !isRead
                    }
                    usleep(5_000)
                }
            } catch {
                state.withLock { $0.failed = true }
            }
        }

        /// How long it waited, in rising order; nil where it was not answered.
        func end() -> [Duration]? {
            state.withLock { $0.isOver = true }
            thread.withLock { $0?.join() }
            return state.withLock { $0.failed ? nil : $0.waits.sorted() }
        }
    }

    /// Around an attack.
    private func unharmed(_ toy: ToyServer, _ attack: () throws -> Void) throws {
        toy.service.bodies.change { $0.isReading = false }
        let before = HostileBodyTests.residentBytes()
        let peak = Peak(before)
        let isOver = Counter()
        let watch = Thread {
            while isOver.value == 0 {
                peak.note(HostileBodyTests.residentBytes())
                usleep(20_000)
            }
        }
        let bystander = Bystander(toy.path)
        let outcome = Result { try attack() }
        isOver.add()
        watch.join()
        try outcome.get()
        let waits = try #require(bystander.end(), "the bystander was not answered")
        let slow = try #require(waits.isEmpty ? nil : waits[waits.count * 99 / 100])
        #expect(slow < .seconds(2), "the bystander waited \(slow), one call of a hundred; of \(waits.count)")
        // All bodies together are gigabytes; what other tests of the process take meanwhile is not counted so closely.
        #expect(peak.value - before < 512 << 20)
        #expect(eventually { toy.server.bodies == 0 && toy.server.connections == 0 })
        let state = toy.service.bodies.state
        #expect(state.begun == state.finished + state.abandoned && !state.isMisused)
        #expect(toy.server.heldInputBytes == 0)
        #expect(try toy.isHealthy())
    }

    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        fgets(&line, Int32(line.count), file)
        let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
            separator: " "
        )
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    private func threads(_ count: Int, _ run: @escaping @Sendable (Int) -> Void) -> [Thread] {
        (0..<count).map { number in Thread { run(number) } }
    }

    private static func put(_ length: Int) -> String {
        "PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\r\n"
    }

    /// As fast as they can, in both skins, to their ends.
    @Test func sixtyFourAtFullSpeed() throws {
        let toy = try ToyServer(workers: 4, loops: 2) { $0.reservedBodies = 0 }
        let length = HostileBodyTests.isLong ? 64 << 20 : 8 << 20
        let (path, block) = (toy.path, block)
        try unharmed(toy) {
            let count = Counter()
            let senders = threads(64) { number in
                guard let socket = try? RawSocket(path: path, timeoutSeconds: 60) else { return }
                if number.isMultiple(of: 2) {
                    socket.send(HostileBodyTests.put(length))
                    _ = socket.flood(block, upTo: length)
                    if (try? socket.readHTTP())?.status == 200 { count.add() }
                } else {
                    socket.send(
                        "{\"method\":\"org.example.toy.Put\",\"parameters\":{\"bytes\":\(length)},\"upgrade\":true}\0"
                    )
                    guard socket.readMessage() != nil else { return }
                    _ = socket.flood(block, upTo: length)
                    if socket.readMessage()?.contains("\"bytes\":\(length)") == true { count.add() }
                }
            }
            for sender in senders { sender.join() }
            #expect(count.value == 64)
        }
        #expect(toy.service.bodies.state.finished == 64)
    }

    /// Chunks that never end, lengths that are never reached, slowly, and away in the middle.
    @Test func endlessSlowAndAborted() throws {
        let toy = try ToyServer(workers: 4, loops: 2) { limits in
            limits.reservedBodies = 0
            limits.bodyIdleSeconds = 2
        }
        let (path, block) = (toy.path, block)
        try unharmed(toy) {
            let senders = threads(48) { number in
                guard let socket = try? RawSocket(path: path, timeoutSeconds: 30) else { return }
                switch number % 4 {
                case 0:
                    socket.send("PUT /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in 0..<100 {
                        socket.send("10000\r\n")
                        socket.send(block)
                        socket.send("\r\n")
                    }
                case 1:
                    socket.send(HostileBodyTests.put(.max))
                    _ = socket.flood(block, upTo: 8 << 20)
                case 2:
                    socket.send(HostileBodyTests.put(1_000))
                    for _ in 0..<3 {
                        socket.send("x")
                        usleep(300_000)
                    }
                    #expect((try? socket.readHTTP())?.status == 408)
                default:
                    socket.send("GET /get?bytes=1000000000 HTTP/1.1\r\nHost: a\r\n\r\n")
                    usleep(200_000)
                }
            }
            for sender in senders { sender.join() }
        }
        #expect(toy.service.bodies.state.finished == 0)
    }

    /// Connections that begin a body and do nothing more: as many get a place as there are, the others are told at once.
    @Test func tenThousandThatBeginOne() throws {
        let count = HostileBodyTests.isLong ? 10_000 : 400
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        try #require(files.rlim_max > 2 * count + 200, "two files for each connection can be open")
        let toy = try ToyServer(workers: 4, loops: 2) { limits in
            limits.connections = count + 100
            limits.connectionsPerUser = count + 100
            limits.reservedConnections = 0
            limits.reservedBodies = 0
        }
        try unharmed(toy) {
            var sockets: [RawSocket] = []
            for _ in 0..<count {
                let socket = try toy.socket()
                socket.send(
                    "PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\nx"
                )
                sockets.append(socket)
            }
            var statuses: [Int: Int] = [:]
            for socket in sockets { statuses[try socket.readHTTP().status, default: 0] += 1 }
            #expect(statuses == [100: 64, 503: count - 64])
            #expect(toy.server.bodies == 64)
            sockets = []
        }
        #expect(toy.service.bodies.state.abandoned == 64)
    }
}

/// Counts from any thread.
private final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
}

/// The largest of what was noted from any thread.
private final class Peak: Sendable {
    private let most: Mutex<Int>

    init(_ first: Int) { most = Mutex(first) }

    var value: Int { most.withLock { $0 } }
    func note(_ value: Int) { most.withLock { $0 = max($0, value) } }
}
