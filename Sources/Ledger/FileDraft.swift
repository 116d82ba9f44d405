import Files
import Glibc

/// A small file that is being made: under a passing name beside its own until it is whole, and held (flock) as long, by
/// which another process knows that it was not left behind.
struct FileDraft {
    /// What a file's name ends in meanwhile.
    static let suffix = ".part"

    /// What a file system says that can't lock files.
    private static let unsupported: Set<Int32> = [EBADF, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP]
    /// As many bytes as tell a kind of file at most.
    private static let kindBytes = 64

    private let file: OpenFile

    /// Makes the file, empty, and holds it. What a process that ended left of another under the name is removed.
    ///
    /// - Parameters:
    ///   - path: the passing name.
    ///   - bytes: what is to be written.
    /// - Throws: `StartupRefusal` where something else has the name; `SystemError`.
    init(_ path: String, of bytes: UnsafeRawBufferPointer, mode: mode_t) throws {
        try FileDraft.clear(path, of: bytes)
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw SystemError("creating \(path)") }
        do {
            file = try OpenFile(descriptor, path: path)
            // Before it was held, another process may have taken it for one that was left behind.
            guard try FileDraft.isHeld(descriptor), try file.isInPlace() else {
                throw SystemError("creating \(path)", errno: EBUSY)
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Writes the whole file durably, and gives it a name that is not taken.
    ///
    /// - Throws: `SystemError`: `EEXIST` where the name is taken. The draft is gone then.
    func publish(_ bytes: UnsafeRawBufferPointer, as path: String) throws {
        do {
            try FileSystem.write(bytes, to: file.descriptor, at: 0, name: path)
            guard fsync(file.descriptor) == 0 else { throw SystemError("syncing \(path)") }
            guard FileSystem.renameNew(file.path, path) else { throw SystemError("creating \(path)") }
        } catch {
            unlink(file.path)
            throw error
        }
    }

    /// Lets go of the file. To be called last.
    func end() { close(file.descriptor) }

    /// Removes what a process that ended left of a file under its passing name. Whatever else has that name is left
    /// alone, and so is what another process is still writing.
    ///
    /// - Parameter bytes: what the file is to hold, which tells its kind by how it begins: so much of it, as far as it was
    ///   written, what is left has too.
    /// - Throws: `StartupRefusal` where something else has the name; `SystemError`.
    static func clear(_ path: String, of bytes: UnsafeRawBufferPointer) throws {
        let descriptor = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else {
            // A link, a folder, a socket, or a file of somebody else's.
            if [ELOOP, EISDIR, ENXIO, EACCES].contains(errno) { throw refusal(path) }
            throw SystemError("opening \(path)")
        }
        defer { close(descriptor) }
        let found = try OpenFile(descriptor, path: path)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError("looking at \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_size <= bytes.count,
            try isHeld(descriptor)
        else { throw refusal(path) }
        let kind = bytes.prefix(kindBytes)
        let beginning = kind.firstIndex(of: UInt8(ascii: "\n")).map { kind[...$0] } ?? kind
        let left = try FileSystem.read(descriptor, at: 0, count: beginning.count, name: path)
        // What was not written before a power cut may be zeros.
        guard beginning.starts(with: left) || left.allSatisfy({ $0 == 0 }) else { throw refusal(path) }
        guard try found.isInPlace() else { return }
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("removing \(path)") }
    }

    /// Takes the flock of a file; false where another process has it. Where there are none, nobody can have it.
    private static func isHeld(_ descriptor: Int32) throws -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            if unsupported.contains(errno) { return true }
            guard errno == EWOULDBLOCK else { throw SystemError("locking a file") }
            return false
        }
        return true
    }

    private static func refusal(_ path: String) -> StartupRefusal {
        StartupRefusal(
            .alreadyExists,
            "\(path) is there, and a new file is written under that name",
            advice: "It was not left behind by this program, or is being written: look what it is, and move it away"
        )
    }
}
