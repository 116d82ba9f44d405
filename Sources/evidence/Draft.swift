import CLinux
import Glibc
import Paths

/// A file that is being written. It has no name until it is finished, so that nothing is left of it when the process ends
/// before, however it ends; where the file system has no such files it has a passing one, which is removed.
final class Draft {
    /// Open for reading and writing.
    let descriptor: Int32
    private let directory: FilePath
    private var passing: PassingName?

    /// What opens a descriptor of this process once more; also what links a file without a name.
    static func path(of descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }

    /// Begins a file that will stand in this directory.
    ///
    /// - Parameter canBeNameless: whether to try for a file without a name first.
    init(in directory: FilePath, canBeNameless: Bool = true) throws {
        self.directory = directory
        if canBeNameless, access("/proc/self/fd", X_OK) == 0 {
            let descriptor = directory.withCString { evidenced_open_nameless($0, 0o666) }
            if descriptor >= 0 {
                self.descriptor = descriptor
                return
            }
            guard [EOPNOTSUPP, EISDIR, EINVAL].contains(errno) else { throw Failure(output: directory, errno: errno) }
        }
        let name = try PassingName(in: directory)
        descriptor = name.path.withCString { open($0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) }
        guard descriptor >= 0 else { throw Failure(output: directory, errno: errno) }
        passing = name
    }

    deinit {
        passing?.remove()
        close(descriptor)
    }

    func write(_ bytes: [UInt8]) throws { try Draft.write(bytes, to: descriptor, name: directory) }

    /// Makes the file stand, whole and durable but for its name, under a path in its directory.
    ///
    /// - Parameter replacing: whether it may take the place of a file that is there.
    /// - Returns: false where a name is taken that may not be.
    func publish(as path: FilePath, replacing: Bool) throws -> Bool {
        guard fsync(descriptor) == 0 else { throw Failure(output: path, errno: errno) }
        var isDone = false
        if let passing {
            isDone =
                replacing
                ? passing.rename(to: path)
                : passing.path.withCString { from in
                    path.withCString { evidenced_rename_new(from, $0) == 0 }
                }
        } else if !replacing {
            isDone = link(as: path)
        } else {
            // No call replaces a name by a file that has none.
            let name = try PassingName(in: directory)
            passing = name
            isDone = link(as: name.path) && name.rename(to: path)
        }
        guard isDone else {
            if !replacing, errno == EEXIST { return false }
            throw Failure(output: path, errno: errno)
        }
        passing?.forget()
        passing = nil
        return true
    }

    private func link(as path: FilePath) -> Bool {
        path.withCString { linkat(AT_FDCWD, Draft.path(of: descriptor), AT_FDCWD, $0, AT_SYMLINK_FOLLOW) } == 0
    }

    /// Writes all bytes into a descriptor.
    static func write(_ bytes: some Collection<UInt8>, to descriptor: Int32, name: FilePath) throws {
        let bytes = Array(bytes)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(output: name, errno: errno) }
            done += count
        }
    }

    /// Makes the names in a directory durable.
    static func syncNames(in directory: FilePath) throws {
        let descriptor = directory.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure(output: directory, errno: errno) }
        defer { close(descriptor) }
        // Some file systems have nothing to sync there.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw Failure(output: directory, errno: errno) }
    }
}
