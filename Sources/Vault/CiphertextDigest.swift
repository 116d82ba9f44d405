import Files
import Glibc
import Merkle
import OpenSSL

/// What is recorded of an object's file in clear, so that custody can be checked without any key.
struct CiphertextDigest: Equatable {
    /// Bytes of the file.
    let size: UInt64
    let sha256: Digest

    init(size: UInt64, sha256: Digest) {
        self.size = size
        self.sha256 = sha256
    }

    /// Reads a file.
    ///
    /// - Throws: `SystemError`.
    init(of path: String) throws {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening a file of a document") }
        defer { close(descriptor) }
        let digest = RunningDigest.sha256()
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { block.deallocate() }
        var size: UInt64 = 0
        while true {
            let count = Glibc.read(descriptor, block.baseAddress, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemError("reading a file of a document") }
            if count == 0 { break }
            digest.update(UnsafeRawBufferPointer(rebasing: block[..<count]))
            size += UInt64(count)
        }
        self.size = size
        sha256 = digest.finish()
    }
}
