import Glibc
import Synchronization

/// A directory that is gone when the run ends, be it by a signal: ledgers of millions of entries must not stay behind.
final class Workspace: Sendable {
    let path: String
    private let removal = Mutex(())

    /// - Parameter parent: an existing directory.
    init(in parent: String) throws {
        var template = Array("\(parent)/evidenced-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("cannot make a directory in \(parent)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        removeAtSignal()
    }

    func remove() { removal.withLock { _ in Workspace.remove(path) } }

    /// Empties and removes a directory, or removes a file.
    static func remove(_ path: String) {
        for name in names(in: path) { remove(path + "/" + name) }
        if rmdir(path) != 0 { unlink(path) }
    }

    /// What a directory holds; nothing where it is none.
    static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let item = readdir(directory) {
            let name = withUnsafeBytes(of: item.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Must happen before other threads are started, so that all of them block the signals.
    private func removeAtSignal() {
        var blocked = Workspace.endingSignals
        // Writing to a pipe that nobody reads fails then, and `Console` ends the run.
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        var handle = pthread_t()
        pthread_create(
            &handle,
            nil,
            { argument in
                guard let argument else { return nil }
                let workspace = Unmanaged<Workspace>.fromOpaque(argument).takeRetainedValue()
                var signals = Workspace.endingSignals
                var signal: Int32 = 0
                sigwait(&signals, &signal)
                // Held until the end: the main thread, whose daemon is gone, must not exit half-way through this.
                workspace.removal.withLock { _ in
                    ChildProcess.killAll()
                    Workspace.remove(workspace.path)
                    _exit(128 + signal)
                }
                return nil
            },
            Unmanaged.passRetained(self).toOpaque()
        )
    }

    private static var endingSignals: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        return signals
    }
}
