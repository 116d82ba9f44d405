import Glibc
import Synchronization

/// Programs of the release build that are run and waited for.
enum ChildProcess {
    private static let running = Mutex<Set<pid_t>>([])

    /// - Parameter quiet: drop what it says on standard error too.
    static func spawn(_ path: String, _ arguments: [String], quiet: Bool = false) throws -> pid_t {
        var process: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        if quiet { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
        // The workspace blocks the signals that end the run; children must not inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawn(&process, path, &actions, &attributes, &words, environ) == 0 else {
            throw BenchError("cannot run \(path)")
        }
        running.withLock { _ = $0.insert(process) }
        return process
    }

    /// Waits for the end; gives the exit status.
    @discardableResult
    static func wait(_ process: pid_t) throws -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw BenchError("lost a process") }
        }
        running.withLock { _ = $0.remove(process) }
        return status >> 8 & 0xFF
    }

    /// Runs to a successful end; gives the seconds.
    @discardableResult
    static func run(_ path: String, _ arguments: [String], quiet: Bool = false) throws -> Double {
        let begin = Stopwatch.now
        guard try wait(spawn(path, arguments, quiet: quiet)) == 0 else {
            throw BenchError("\(path) \(arguments.first ?? "") failed")
        }
        return Stopwatch.seconds(since: begin)
    }

    static func hasEnded(_ process: pid_t) -> Bool {
        guard waitpid(process, nil, WNOHANG) != 0 else { return false }
        running.withLock { _ = $0.remove(process) }
        return true
    }

    /// Ends what still runs, before the whole run ends.
    static func killAll() {
        for process in running.withLock({ $0 }) { kill(process, SIGKILL) }
    }
}
