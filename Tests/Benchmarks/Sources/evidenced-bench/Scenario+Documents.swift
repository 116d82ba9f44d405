import Age
import Glibc
import JSON
import OpenSSL
import Varlink

/// Documents in custody, and erasures.
extension Scenario {
    private static let documentBytes = 512 << 20
    private static let pieceBytes = 256 << 10
    private static let subjectEvents = 10_000

    /// A large document goes in and comes out.
    func documents(_ directory: String) throws {
        let file = try Document(directory + "/document", bytes: Scenario.documentBytes)
        let megabytes = Double(Scenario.documentBytes) / 1e6
        let sealing = try file.seconds { piece, sealer in try sealer.seal(piece) }
        let opening = try file.secondsOfOpening()
        addBaseline("SHA-256, SM3 and ChaCha20-Poly1305, one pass on one core", megabytes / sealing, "MB/s", .higher)
        addBaseline("opening ChaCha20-Poly1305 on one core", megabytes / opening, "MB/s", .higher)
        let before = daemon.processorTime
        var begin = Stopwatch.now
        let answer = try HTTPClient(path: daemon.socket).put("/objects", from: file.rewound())
        let upload = Stopwatch.seconds(since: begin)
        let cost = daemon.processorTime - before
        guard answer.status == 200, let object = try JSONReader.parse(answer.body)["object"]?.string else {
            throw BenchError("the document was not taken: \(String(decoding: answer.body, as: UTF8.self))")
        }
        daemon.noteMemory()
        add(
            "depositing a document of 512 MiB",
            megabytes / upload,
            "MB/s",
            .higher,
            raw: .init(name: "SHA-256, SM3 and ChaCha20-Poly1305, one pass on one core", value: megabytes / sealing),
            target: .atLeast(0.6, times: "one pass")
        )
        add("  daemon's CPU", cost / megabytes * 1e6, "µs/MB", .lower)
        let sink = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(sink) }
        begin = Stopwatch.now
        let fetched = try HTTPClient(path: daemon.socket)
            .get("/objects/\(object)?purpose=integrity-check&actor=system", to: sink)
        let download = Stopwatch.seconds(since: begin)
        guard fetched.status == 200 else { throw BenchError("the document was not given out") }
        daemon.noteMemory()
        add(
            "fetching it",
            megabytes / download,
            "MB/s",
            .higher,
            raw: .init(name: "opening ChaCha20-Poly1305 on one core", value: megabytes / opening),
            target: .atLeast(0.6, times: "opening")
        )
    }

    /// A person with many events is erased.
    ///
    /// - Parameter commit: seconds of one commit.
    func erasure(commit: Double) throws {
        let ids =
            try daemon.call("NewIds", .members(["count": .int(Int64(Scenario.subjectEvents) / 100 + 2)]))["ids"]?.array
            ?? []
        guard let subject = ids.first?.string, let request = ids.last?.string else { throw BenchError("no ids") }
        let scope = "subject/\(subject)"
        for batch in 0..<Scenario.subjectEvents / 1_000 {
            let events = (0..<1_000).map { number in
                event(
                    "log.contact",
                    request(batch * 1_000 + number, subject),
                    [scope],
                    ["channel": .string("web")],
                    [
                        "content_sha256": .string(String(repeating: "5c", count: 32))
                    ]
                )
            }
            _ = try daemon.call("Append", .members(["events": .array(events)]))
        }
        let asked = event(
            "erasure.executed",
            self.request(999_999, subject),
            ["request/\(request)"],
            ["requested": .int(0), "scopes": .array([.string(scope)])],
            [:]
        )
        let begin = Stopwatch.now
        _ = try VarlinkClient(path: daemon.socket)
            .call("org.evidenced.Privacy.Erase", .members(["events": .array([asked])]))
        let seconds = Stopwatch.seconds(since: begin)
        add(
            "erasing a person with 10,000 events",
            seconds * 1_000,
            "ms",
            .lower,
            raw: .init(name: "two commits of one raw value", value: 2_000 * commit),
            target: .atMost(50)
        )
    }

    /// An idempotency key for a number.
    private func request(_ number: Int, _ id: String) -> String {
        let digits = String(number + 0x1000_0000, radix: 16)
        let text = Array(id)
        return
            "\(String(text[0..<8]))-\(String(text[8..<12]))-7\(String(text[13..<16]))-8\(String(text[17..<20]))-0000\(digits)"
    }

    private func event(
        _ type: String,
        _ request: String,
        _ streams: [String],
        _ body: KeyValuePairs<String, JSONValue>,
        _ claims: KeyValuePairs<String, JSONValue>
    ) -> JSONValue {
        .members([
            "actor": .string("system"), "body": .members(body),
            "claims": .object(claims.isEmpty ? [] : [JSONMember(name: streams[0], value: .members(claims))]),
            "request": .string(request), "streams": .array(streams.map { .string($0) }), "type": .string(type),
        ])
    }
}

/// A file of bytes that don't repeat, and what the least work on it takes.
private struct Document {
    private let descriptor: Int32
    private let bytes: Int

    /// Hashes and encrypts, as a deposit does.
    final class Sealer {
        private let sha256 = RunningDigest.sha256()
        private let sm3 = try? RunningDigest.sm3()
        private var sealed: [UInt8] = []
        private let writer: AgePayloadWriter

        init() throws { writer = try AgePayloadWriter(fileKey: .random(), to: &sealed) }

        func seal(_ piece: UnsafeRawBufferPointer) throws {
            sha256.update(piece)
            sm3?.update(piece)
            try writer.write(piece, to: &sealed)
            sealed.removeAll(keepingCapacity: true)
        }
    }

    init(_ path: String, bytes: Int) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchError("cannot write \(path)") }
        self.bytes = bytes
        var state: UInt64 = 88_172_645_463_325_252
        var block = [UInt64](repeating: 0, count: 1 << 17)
        for _ in 0..<bytes / (8 * block.count) {
            for position in block.indices {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                block[position] = state
            }
            guard write(descriptor, block, 8 * block.count) == 8 * block.count else {
                throw BenchError("the disk is full")
            }
        }
    }

    func rewound() -> Int32 {
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    /// Seconds in which each piece was worked on.
    func seconds(_ body: (UnsafeRawBufferPointer, Sealer) throws -> Void) throws -> Double {
        let sealer = try Sealer()
        var piece = [UInt8](repeating: 0, count: 256 << 10)
        let file = rewound()
        var spent = 0.0
        while true {
            let count = read(file, &piece, piece.count)
            guard count > 0 else { return spent }
            let begin = Stopwatch.now
            try piece.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count]), sealer) }
            spent += Stopwatch.seconds(since: begin)
        }
    }

    /// Seconds of opening as many bytes.
    func secondsOfOpening() throws -> Double {
        let part = 8 << 20
        let fileKey = try AgeFileKey.random()
        var sealed: [UInt8] = []
        let writer = try AgePayloadWriter(fileKey: fileKey, to: &sealed)
        try [UInt8](repeating: 7, count: part).withUnsafeBytes { try writer.write($0, to: &sealed) }
        try writer.finish(to: &sealed)
        var opened: [UInt8] = []
        opened.reserveCapacity(part + (1 << 16))
        let begin = Stopwatch.now
        for _ in 0..<bytes / part {
            let reader = AgePayloadReader(fileKey: fileKey)
            try sealed.withUnsafeBytes { try reader.read($0, to: &opened) }
            try reader.finish(to: &opened)
            opened.removeAll(keepingCapacity: true)
        }
        return Stopwatch.seconds(since: begin)
    }
}
