import Glibc
import JSON
import Varlink

/// A daemon of its own, from the release build, on a ledger of its own.
final class Daemon {
    /// Where store, look-up index, lock and keyring are, and nothing else.
    let ledger: String
    let socket: String
    private let binaries: String
    private let configuration: String
    private var process: pid_t = 0
    /// The most memory of its own the daemon was seen with, in bytes.
    private(set) var peakMemory = 0

    /// Makes a ledger in a directory.
    init(binaries: String, directory: String) throws {
        self.binaries = binaries
        ledger = directory + "/ledger"
        socket = directory + "/socket"
        configuration = directory + "/evidenced.conf"
        mkdir(ledger, 0o700)
        // The maps are large from the start: growing them is not what is measured.
        let text = """
            store = \(ledger)/store
            index = \(ledger)/index
            keys = \(ledger)/keys
            objects = \(directory)/objects
            checkpoint-lock = \(ledger)/checkpoint.lock
            keyring = \(ledger)/keyring
            socket = \(socket)
            map-size = 128G
            index-map-size = 64G
            log-level = error
            principal.bench = uid:\(getuid())
            role.bench = submitter, reader, auditor, operator, eraser, retriever

            """
        guard let file = fopen(configuration, "w") else { throw BenchError("cannot write \(configuration)") }
        fputs(text, file)
        fclose(file)
        try ChildProcess.run(
            "\(binaries)/evidence",
            ["init", "--config", configuration, "--origin", "bench.example/ledger"]
        )
    }

    deinit { stop() }

    /// Starts the daemon; gives the seconds until it answered.
    @discardableResult
    func start() throws -> Double {
        let begin = Stopwatch.now
        process = try ChildProcess.spawn("\(binaries)/evidenced", ["--config", configuration])
        while Stopwatch.seconds(since: begin) < 300 {
            if (try? call("GetCheckpoint")) != nil { return Stopwatch.seconds(since: begin) }
            if ChildProcess.hasEnded(process) {
                process = 0
                throw BenchError("the daemon ended at its start")
            }
            usleep(500)
        }
        throw BenchError("the daemon does not answer")
    }

    /// Stops as told; everything is stored and indexed then.
    func stop() { end(with: SIGTERM) }

    /// Stops without a chance to do anything more.
    func kill() { end(with: SIGKILL) }

    private func end(with signal: Int32) {
        guard process > 0 else { return }
        Glibc.kill(process, signal)
        _ = try? ChildProcess.wait(process)
        process = 0
    }

    /// Seconds of an audit by the command line.
    func audit() throws -> Double {
        try ChildProcess.run("\(binaries)/evidence", ["audit", "--config", configuration], quiet: true)
    }

    /// Seconds in which the program starts, says its version and ends.
    func bareStart() throws -> Double { try ChildProcess.run("\(binaries)/evidenced", ["--version"]) }

    func call(_ method: String, _ parameters: JSONValue = .object([])) throws -> JSONValue {
        try VarlinkClient(path: socket).call("org.evidenced.Ledger.\(method)", parameters)
    }

    /// Entries of the ledger.
    func size() throws -> Int { Int(try call("Status")["size"]?.int ?? 0) }

    var processorTime: Double { ProcessorTime.of(process) }

    /// Looks at the resident memory that is the daemon's own, without the pages of mapped files.
    func noteMemory() {
        let lines = ProcFile.read("/proc/\(process)/status")?.split(separator: "\n") ?? []
        guard let line = lines.first(where: { $0.hasPrefix("RssAnon:") }) else { return }
        let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }
        peakMemory = max(peakMemory, (kilobytes ?? 0) * 1_024)
    }
}
