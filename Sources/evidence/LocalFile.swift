import Glibc
import Paths

/// Whole files read through the system's own calls.
enum LocalFile {
    /// The most that is read into memory: far beyond any proof, entry or batch of events.
    private static let maximumBytes = 256 << 20

    /// Reads a file, or standard input for `-`.
    static func read(_ path: FilePath) throws -> [UInt8] {
        guard path != FilePath("-") else { return try read(descriptor: STDIN_FILENO, name: FilePath("standard input")) }
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(descriptor) }
        return try read(descriptor: descriptor, name: path)
    }

    /// The first bytes of a file, fewer where it is shorter; none of standard input.
    static func beginning(_ path: FilePath, count: Int) throws -> [UInt8] {
        guard path != FilePath("-") else { return [] }
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        let read = Glibc.read(descriptor, &bytes, count)
        guard read >= 0 else { throw Failure(path: path, errno: errno) }
        return Array(bytes.prefix(read))
    }

    /// Whether something can be reached at a path.
    static func exists(_ path: FilePath) -> Bool { path.withCString { access($0, F_OK) } == 0 }

    /// Whether a name is taken, if only by a symbolic link that leads nowhere.
    static func isTaken(_ path: FilePath) -> Bool { FileIdentity(path, following: false) != nil }

    /// The size of a regular file.
    static func size(_ path: FilePath) throws -> UInt64 {
        var status = stat()
        guard path.withCString({ stat($0, &status) }) == 0 else { throw Failure(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(.inputMissing, "\(path): not a regular file") }
        return UInt64(clamping: status.st_size)
    }

    /// The path from the root on.
    static func absolute(_ path: FilePath) throws -> FilePath {
        guard !path.isAbsolute else { return path }
        guard let directory = getcwd(nil, 0) else { throw Failure(path: FilePath("."), errno: errno) }
        defer { free(directory) }
        let bytes = UnsafeRawBufferPointer(start: directory, count: strlen(directory))
        guard let current = FilePath(bytes: bytes) else { throw Failure(path: FilePath("."), errno: EINVAL) }
        return current.appending(path.bytes)
    }

    private static func read(descriptor: Int32, name: FilePath) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(path: name, errno: errno) }
            if count == 0 { return bytes }
            bytes += block[..<count]
            guard bytes.count <= maximumBytes else { throw Failure(.usage, "\(name): longer than 256 MiB") }
        }
    }
}
