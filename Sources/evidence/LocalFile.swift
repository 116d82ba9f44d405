import Glibc

/// Whole files read and written through the system's own calls.
enum LocalFile {
    /// The most that is read into memory: far beyond any proof, entry or batch of events.
    private static let maximumBytes = 256 << 20

    /// Reads a file, or standard input for `-`.
    static func read(_ path: String) throws -> [UInt8] {
        guard path != "-" else { return try read(descriptor: STDIN_FILENO, name: "standard input") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(descriptor) }
        return try read(descriptor: descriptor, name: path)
    }

    /// The first bytes of a file, fewer where it is shorter; none of standard input.
    static func beginning(_ path: String, count: Int) throws -> [UInt8] {
        guard path != "-" else { return [] }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        let read = Glibc.read(descriptor, &bytes, count)
        guard read >= 0 else { throw Failure(path: path, errno: errno) }
        return Array(bytes.prefix(read))
    }

    /// Writes a new file or replaces one.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let failure = Failure(path: path, errno: errno)
                close(descriptor)
                throw failure
            }
            done += count
        }
        guard close(descriptor) == 0 else { throw Failure(path: path, errno: errno) }
    }

    /// Makes a directory where there is none.
    static func makeDirectory(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw Failure(path: path, errno: errno) }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The size of a regular file.
    static func size(_ path: String) throws -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(.inputMissing, "\(path): not a regular file") }
        return UInt64(clamping: status.st_size)
    }

    /// The last part of a path.
    static func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// The directory a path lies in.
    static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The path from the root on.
    static func absolute(_ path: String) throws -> String {
        guard !path.hasPrefix("/") else { return path }
        guard let directory = getcwd(nil, 0) else { throw Failure(path: ".", errno: errno) }
        defer { free(directory) }
        return String(cString: directory) + "/" + path
    }

    private static func read(descriptor: Int32, name: String) throws -> [UInt8] {
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
