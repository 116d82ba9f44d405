import Glibc
import JSON
import Varlink

struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A daemon of its own, from the release build, on a ledger in a directory of its own.
final class Daemon {
    let socket: String
    private let binaries: String
    private let configuration: String
    private var process: pid_t = 0

    init(binaries: String, directory: String) throws {
        self.binaries = binaries
        mkdir(directory, 0o700)
        socket = directory + "/socket"
        configuration = directory + "/evidenced.conf"
        let text = """
            store = \(directory)/store
            index = \(directory)/index
            checkpoint-lock = \(directory)/checkpoint.lock
            keyring = \(directory)/keyring
            socket = \(socket)
            map-size = 64G
            index-map-size = 16G
            log-level = error
            principal.bench = uid:\(getuid())
            role.bench = submitter, reader, auditor, operator

            """
        guard let file = fopen(configuration, "w") else { throw BenchError("cannot write \(configuration)") }
        fputs(text, file)
        fclose(file)
        let status = try Daemon.wait(
            Daemon.spawn(
                "\(binaries)/evidence",
                ["init", "--config", configuration, "--origin", "bench.example/ledger"]
            )
        )
        guard status == 0 else { throw BenchError("evidence init failed") }
    }

    deinit { stop() }

    /// Starts the daemon; gives the seconds until it answered.
    @discardableResult
    func start() throws -> Double {
        let begin = Stopwatch.now
        process = try Daemon.spawn("\(binaries)/evidenced", ["--config", configuration])
        while Stopwatch.seconds(since: begin) < 120 {
            if let client = try? VarlinkClient(path: socket),
                (try? client.call("org.evidenced.Ledger.GetCheckpoint")) != nil
            {
                return Stopwatch.seconds(since: begin)
            }
            usleep(500)
        }
        throw BenchError("the daemon does not answer")
    }

    func stop() {
        guard process > 0 else { return }
        kill(process, SIGTERM)
        _ = try? Daemon.wait(process)
        process = 0
    }

    /// Seconds of an audit by the command line.
    func audit() throws -> Double {
        let begin = Stopwatch.now
        let status = try Daemon.wait(
            Daemon.spawn("\(binaries)/evidence", ["audit", "--config", configuration], quiet: true)
        )
        guard status == 0 else { throw BenchError("the audit failed") }
        return Stopwatch.seconds(since: begin)
    }

    /// Resident memory of the daemon that is its own, without the pages of mapped files, in bytes.
    func memory() -> Int {
        guard let file = fopen("/proc/\(process)/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("RssAnon:"),
                let kilobytes = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
            {
                return (Int(kilobytes) ?? 0) * 1_024
            }
        }
        return 0
    }

    func status() throws -> JSONValue { try VarlinkClient(path: socket).call("org.evidenced.Ledger.Status") }

    private static func spawn(_ path: String, _ arguments: [String], quiet: Bool = false) throws -> pid_t {
        var process: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        if quiet { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawn(&process, path, &actions, nil, &words, environ) == 0 else {
            throw BenchError("cannot run \(path)")
        }
        return process
    }

    private static func wait(_ process: pid_t) throws -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw BenchError("lost a process") }
        }
        return status >> 8 & 0xFF
    }
}
