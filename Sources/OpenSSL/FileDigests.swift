public import Merkle
public import Paths

#if canImport(Glibc)
    import Glibc
#endif

/// SHA-256 and, where it is asked for, SM3 of a file, taken in one pass over its bytes.
public struct FileDigests: Sendable {
    public let sha256: Digest
    /// nil where it was not asked for.
    public let sm3: Digest?
    /// Bytes read.
    public let size: Int64

    /// Reads the file at `path`, telling `progress` after each block how many bytes were read.
    ///
    /// A file that was written to meanwhile is refused: the digest would be of bytes that never stood in it together.
    /// That it was is seen in its size and in its times of modification and change, which every write sets.
    ///
    /// - Parameter withSM3: whether to take it too.
    /// - Throws: `FileError` with the system's errno, or `.changed`; `MissingAlgorithm`.
    public init(path: FilePath, withSM3: Bool = false, progress: (Int64) -> Void = { _ in }) throws {
        let sm3 = withSM3 ? try RunningDigest.sm3() : nil
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError(path: path, cause: .system(errno)) }
        defer { close(descriptor) }
        let before = try FileState(descriptor, path)
        let sha256 = RunningDigest.sha256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var size: Int64 = 0
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path: path, cause: .system(errno))
            }
            if count == 0 { break }
            buffer.withUnsafeBytes {
                let block = UnsafeRawBufferPointer(rebasing: $0[..<count])
                sha256.update(block)
                sm3?.update(block)
            }
            size += Int64(count)
            progress(size)
        }
        guard try FileState(descriptor, path) == before, before.size.map({ $0 == size }) ?? true else {
            throw FileError(path: path, cause: .changed)
        }
        self.sha256 = sha256.finish()
        self.sm3 = sm3?.finish()
        self.size = size
    }
}

/// What tells that a file was written to.
private struct FileState: Equatable {
    /// Bytes of a regular file; nil for what has no size of its own, such as a pipe.
    let size: Int64?
    private let times: [Int]

    init(_ descriptor: Int32, _ path: FilePath) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, cause: .system(errno)) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        size = isRegular ? Int64(status.st_size) : nil
        times =
            isRegular
            ? [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec] : []
    }
}

/// A file that could not be read.
public struct FileError: Error, Sendable, CustomStringConvertible {
    /// Why not.
    public enum Cause: Equatable, Sendable {
        /// A system call failed with this errno.
        case system(Int32)
        /// It was written to while it was read.
        case changed
    }

    public let path: FilePath
    public let cause: Cause

    public var description: String {
        switch cause {
        case .system(let code): "\(path): \(String(cString: strerror(code)))"
        case .changed: "\(path): was written to while it was read"
        }
    }
}
