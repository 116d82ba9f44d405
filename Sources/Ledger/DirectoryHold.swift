import Files
import Glibc

/// Directories held for the one process that creates or recovers a ledger in them: an exclusive flock on each, until the end. Whoever
/// reads or writes what is there already needs none.
final class DirectoryHold {
    private static let waitMicroseconds: UInt32 = 20_000
    /// What a file system says that can't lock directories, as NFS.
    private static let unsupported: Set<Int32> = [EBADF, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP]
    private var files: [OpenFile] = []

    /// Waits until nobody else holds any of them.
    ///
    /// - Parameters:
    ///   - paths: what must be there.
    ///   - other: one more, which need not be there.
    ///   - deadline: in seconds of the boot clock.
    ///   - isInterrupted: ends the wait.
    /// - Returns: nil where one was removed meanwhile.
    /// - Throws: `StartupRefusal` `.inUse` after the deadline; `SystemError`.
    init?(_ paths: [String], _ other: String?, until deadline: Int64, isInterrupted: () -> Bool) throws {
        for path in paths + [other].compactMap({ $0 }) {
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if descriptor < 0 {
                guard errno == ENOENT || errno == EACCES else { throw SystemError("opening \(path)") }
                // Who may not read it makes nothing in it durable, which the creation finds out.
                if errno == ENOENT, paths.contains(where: { $0.utf8.elementsEqual(path.utf8) }) { return nil }
                continue
            }
            let file: OpenFile
            do {
                file = try OpenFile(descriptor, path: path)
            } catch {
                close(descriptor)
                throw error
            }
            // A second descriptor of one directory would wait for the first.
            if files.contains(where: { $0.isSame(as: file) }) { close(descriptor) } else { files.append(file) }
        }
        // In one order for all, so that two never wait for each other.
        files.sort { $0.precedes($1) }
        for file in files {
            try DirectoryHold.hold(file, until: deadline, isInterrupted: isInterrupted)
            guard try file.isInPlace() else { return nil }
        }
    }

    deinit { for file in files { close(file.descriptor) } }

    private static func hold(_ file: OpenFile, until deadline: Int64, isInterrupted: () -> Bool) throws {
        while flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            if unsupported.contains(errno) { return }
            guard errno == EWOULDBLOCK else { throw SystemError("locking \(file.path)") }
            guard LedgerClock.steadySeconds < deadline else {
                throw StartupRefusal(
                    .inUse,
                    "the directory \(file.path) is held by another process",
                    advice: "A ledger is being created or recovered there. Wait for its end, and see what came of it"
                )
            }
            guard !isInterrupted() else { throw SystemError("locking \(file.path)", errno: EINTR) }
            usleep(waitMicroseconds)
        }
    }
}
