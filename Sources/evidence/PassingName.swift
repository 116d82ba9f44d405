import Glibc
import Paths
import Synchronization

/// A name that a file has only until it gets its own. It goes away with the process that a signal ends.
final class PassingName {
    let path: FilePath

    private struct State {
        var names: Set<FilePath> = []
        var isWatching = false
    }
    private static let state = Mutex(State())
    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// A name nobody else has, in a directory. Whoever gets it makes the file.
    init(in directory: FilePath) throws {
        var random = SystemRandomNumberGenerator()
        path = directory.appending(".evidence-\(getpid())-\(String(random.next(), radix: 36)).part")
        try PassingName.watch()
        PassingName.state.withLock { _ = $0.names.insert(path) }
    }

    /// Renames the file, over what is there.
    func rename(to target: FilePath) -> Bool {
        path.withCString { from in target.withCString { Glibc.rename(from, $0) == 0 } }
    }

    /// Removes the file.
    func remove() {
        _ = path.withCString { unlink($0) }
        forget()
    }

    /// The name is no file's any more.
    func forget() { PassingName.state.withLock { _ = $0.names.remove(path) } }

    /// Hands the signals that end the process to a thread, which removes what has a passing name and then lets the signal
    /// do what it does. Signals that are ignored stay so.
    private static func watch() throws {
        let isFirst = state.withLock { state in
            defer { state.isWatching = true }
            return !state.isWatching
        }
        guard isFirst else { return }
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        var set = signalSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { _ in
                var set = PassingName.signalSet()
                var received: Int32 = 0
                while sigwait(&set, &received) != 0 {}
                PassingName.end(by: received)
                return nil
            },
            nil
        )
        guard code == 0 else { throw Failure(.system, "no thread can be made: \(String(cString: strerror(code)))") }
        pthread_detach(thread)
    }

    /// Removes what has a passing name, and ends the process as the signal would have.
    private static func end(by received: Int32) {
        state.withLock { state in
            for name in state.names { _ = name.withCString { unlink($0) } }
            signal(received, SIG_DFL)
            var set = signalSet()
            pthread_sigmask(SIG_UNBLOCK, &set, nil)
            kill(getpid(), received)
            // The lock is kept until then, so that nobody makes another.
            while true { pause() }
        }
    }

    /// The signals that end the process and aren't ignored.
    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals {
            var action = sigaction()
            sigaction(signal, nil, &action)
            guard action.__sigaction_handler.sa_handler == nil else { continue }
            sigaddset(&set, signal)
        }
        return set
    }
}
