public import Merkle

#if canImport(Glibc)
    import Glibc
#endif

/// SHA-256 and SM3 of a file, taken in one pass over its bytes.
public struct FileDigests: Sendable {
    public let sha256: Digest
    public let sm3: Digest
    /// Bytes read.
    public let size: Int64

    /// Reads the file at `path`, telling `progress` after each block how many bytes were read.
    ///
    /// - Throws: `FileError` with the system's errno.
    public init(path: String, progress: (Int64) -> Void = { _ in }) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path, errno: errno) }
        defer { close(descriptor) }
        let sha256 = RunningDigest.sha256()
        let sm3 = RunningDigest.sm3()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var size: Int64 = 0
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path: path, errno: errno)
            }
            if count == 0 { break }
            buffer.withUnsafeBytes {
                let block = UnsafeRawBufferPointer(rebasing: $0[..<count])
                sha256.update(block)
                sm3.update(block)
            }
            size += Int64(count)
            progress(size)
        }
        self.sha256 = sha256.finish()
        self.sm3 = sm3.finish()
        self.size = size
    }
}

/// A file that could not be read.
public struct FileError: Error, Sendable, CustomStringConvertible {
    public let path: String
    public let errno: Int32

    public var description: String { "\(path): \(String(cString: strerror(errno)))" }
}
