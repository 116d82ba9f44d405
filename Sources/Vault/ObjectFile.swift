import Age
import Files
import Glibc

/// The file of a document in custody, open to be read.
final class ObjectFile: Sendable {
    private let descriptor: Int32
    let header: AgeHeader
    /// The first bytes of the payload, from which with the file key the payload key follows.
    let nonce: [UInt8]
    /// Bytes behind the header.
    let payloadBytes: UInt64

    /// - Parameter recorded: what the ledger says of the file, whose size it must have.
    /// - Throws: `ObjectDamage` where it is missing or not such a file; `SystemError`.
    init(_ path: String, _ recorded: CiphertextDigest) throws {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { throw ObjectDamage("it is missing") }
        guard descriptor >= 0 else { throw SystemError("opening a file of a document") }
        do {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError("looking at a file of a document") }
            guard UInt64(status.st_size) == recorded.size else {
                throw ObjectDamage("it has \(status.st_size) bytes, and \(recorded.size) were recorded")
            }
            let beginning = try FileSystem.read(
                descriptor,
                at: 0,
                count: AgeHeader.maximumBytes,
                name: "a file of a document"
            )
            header = try ObjectFile.header(beginning)
            let start = header.encoded.count
            nonce = Array(beginning.dropFirst(start).prefix(AgePayload.nonceBytes))
            payloadBytes = recorded.size - UInt64(start)
            self.descriptor = descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    private static func header(_ beginning: [UInt8]) throws(ObjectDamage) -> AgeHeader {
        let read = beginning.withUnsafeBytes { bytes in
            Result { () throws(AgeHeaderError) in try AgeHeader.read(bytes, isEnd: true) }
        }
        switch read {
        case .success(let header?): return header
        case .success(nil): throw ObjectDamage("it ends within its header")
        case .failure(let error): throw ObjectDamage("\(error)")
        }
    }

    /// Reads a part of the payload, counted from its nonce, in place of what `bytes` holds.
    ///
    /// - Throws: `SystemError`; a part that is not there any more is read as far as it is.
    func read(_ range: Range<UInt64>, into bytes: inout [UInt8]) throws {
        let count = Int(range.upperBound - range.lowerBound)
        if bytes.count != count { bytes = [UInt8](repeating: 0, count: count) }
        let done = try bytes.withUnsafeMutableBytes {
            try FileSystem.read(
                descriptor,
                at: header.encoded.count + Int(range.lowerBound),
                into: $0,
                name: "a file of a document"
            )
        }
        if done < count { bytes.removeLast(count - done) }
    }
}
