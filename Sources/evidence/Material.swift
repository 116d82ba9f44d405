import Glibc
import Paths

/// A file or folder that is to be verified. It is read where it was opened, once: what can't be read twice, such as a pipe
/// or standard input, is copied into a file without a name first, and every later look is at that copy.
final class Material {
    /// The most that a pipe may bring: a bundle is smaller than 2^32 bytes.
    private static let maximumBytes = 1 << 32

    private let descriptor: Int32
    /// As it was named.
    private let name: FilePath

    /// Whether it is a folder, as that of an unpacked bundle.
    private let isFolder: Bool

    /// - Parameter path: a file of any kind, a folder, or `-` for standard input.
    init(_ path: FilePath) throws {
        let isInput = path == FilePath("-")
        name = isInput ? FilePath("standard input") : path
        let opened = isInput ? dup(STDIN_FILENO) : path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard opened >= 0 else { throw Failure(path: name, errno: errno) }
        var status = stat()
        guard fstat(opened, &status) == 0 else {
            defer { close(opened) }
            throw Failure(path: name, errno: errno)
        }
        isFolder = status.st_mode & S_IFMT == S_IFDIR
        if isFolder || status.st_mode & S_IFMT == S_IFREG, !isInput {
            descriptor = opened
        } else {
            defer { close(opened) }
            descriptor = try Material.copy(of: opened, name: name)
        }
    }

    deinit { close(descriptor) }

    /// Opens the very file again, whatever its name stands for by now.
    var path: String { "/proc/self/fd/\(descriptor)" }

    /// Whether it is a bundle rather than a proof: by its first bytes, or, where it can't be one, by its name.
    func isBundle() throws -> Bool {
        try isFolder || name.bytes.suffix(4).elementsEqual(".zip".utf8)
            || LocalFile.beginning(FilePath(path), count: 2) == Array("PK".utf8)
    }

    /// The whole content.
    func content() throws -> [UInt8] { try LocalFile.read(FilePath(path)) }

    /// The copy could not be made, which is never the fault of what is copied.
    private static func failure(_ name: FilePath, errno code: Int32) -> Failure {
        Failure(.system, "\(name): it can't be copied to /tmp: \(String(cString: strerror(code)))")
    }

    private static func copy(of source: Int32, name: FilePath) throws -> Int32 {
        // It has no name from here on, so that nothing of it stays whatever ends the program.
        var template = Array("/tmp/evidence.XXXXXX".utf8CString)
        let target = mkstemp(&template)
        guard target >= 0 else { throw failure(name, errno: errno) }
        unlink(template)
        var block = [UInt8](repeating: 0, count: 1 << 16)
        var total = 0
        do {
            while true {
                let count = read(source, &block, block.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Failure(path: name, errno: errno) }
                if count == 0 { return target }
                total += count
                guard total <= maximumBytes else { throw Failure(.usage, "\(name): longer than any bundle") }
                var written = 0
                while written < count {
                    let part = block[written..<count].withUnsafeBytes { write(target, $0.baseAddress, $0.count) }
                    if part < 0, errno == EINTR { continue }
                    guard part > 0 else { throw failure(name, errno: errno) }
                    written += part
                }
            }
        } catch {
            close(target)
            throw error
        }
    }
}
