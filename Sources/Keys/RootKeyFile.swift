import Glibc

/// `root.key`: two slots of 4,096 bytes, written in place and never elsewhere, so that overwriting one destroys what it
/// held. At rest one slot has the root key and the other is zeros.
final class RootKeyFile: Sendable {
    private let path: String
    private let descriptor: Int32

    enum Access {
        /// Makes the file where it is missing, and holds it.
        case creating
        /// Holds it, so that no other process does.
        case writing
        /// Beside a process that holds it.
        case reading
    }

    /// - Throws: `KeyRefusal` where it is missing or held by another process; `KeyFileError`.
    init(directory: String, access: Access) throws {
        path = directory + "/root.key"
        let flags =
            O_CLOEXEC | O_NOFOLLOW | (access == .reading ? O_RDONLY : O_RDWR) | (access == .creating ? O_CREAT : 0)
        descriptor = open(path, flags, 0o600)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw KeyFileError("opening \(path)") }
            throw KeyRefusal(.missing, "\(path) is missing", advice: "Restore the key backup, root.key with it")
        }
        guard access != .reading else { return }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno != EINTR else { continue }
            // Whole as it is, it closes the file as it is given up.
            guard errno == EWOULDBLOCK else { throw KeyFileError("locking \(path)") }
            throw KeyRefusal(.inUse, "\(path) is held by another process", advice: "Stop it first")
        }
    }

    deinit { close(descriptor) }

    /// The bytes of both slots.
    func bytes() throws -> [UInt8] { try (0..<2).flatMap { try read($0) } }

    /// What a slot holds.
    enum Slot: Equatable {
        case zeros
        case record(RootRecord)
        /// Neither: a write of it was cut off, or it was damaged.
        case other

        var isRecord: Bool { if case .record = self { true } else { false } }
    }

    /// - Throws: `KeyRefusal` where another file, or none, has the name of this one: what is written to it would be lost.
    func requireInPlace() throws {
        var (held, named) = (stat(), stat())
        guard fstat(descriptor, &held) == 0 else { throw KeyFileError("looking at \(path)") }
        guard lstat(path, &named) == 0, named.st_dev == held.st_dev, named.st_ino == held.st_ino else {
            throw KeyRefusal(.replaced, "\(path) was replaced or removed while it was in use", advice: "Start again")
        }
    }

    func slots() throws -> [Slot] {
        try (0..<2).map { number in
            let bytes = try read(number)
            if bytes.allSatisfy({ $0 == 0 }) { return .zeros }
            return RootRecord(slot: bytes).map(Slot.record) ?? .other
        }
    }

    private func read(_ number: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: RootRecord.slotBytes)
        // What a shorter file doesn't have reads as zeros.
        _ = try transfer(number, "reading") { done, offset in
            bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset)
            }
        }
        return bytes
    }

    /// Repeats a call until it has moved a whole slot, or moves nothing.
    ///
    /// - Parameter move: takes how many bytes are done and where the next one stands; gives how many more it did, or −1 and
    ///   sets `errno`.
    /// - Returns: how many bytes.
    private func transfer(_ number: Int, _ operation: String, _ move: (Int, off_t) -> Int) throws -> Int {
        var done = 0
        while done < RootRecord.slotBytes {
            let count = move(done, off_t(number * RootRecord.slotBytes + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw KeyFileError("\(operation) \(path)") }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Writes a slot in place and syncs it.
    ///
    /// - Parameter record: nil for zeros.
    func write(_ record: RootRecord?, to number: Int) throws {
        let bytes = record?.slot ?? [UInt8](repeating: 0, count: RootRecord.slotBytes)
        let done = try transfer(number, "writing") { done, offset in
            bytes.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset)
            }
        }
        guard done == bytes.count else { throw KeyFileError("writing \(path)") }
        // Never repeated where it fails: the kernel may have forgotten what it could not write.
        guard fdatasync(descriptor) == 0 else { throw KeyFileError("syncing \(path)") }
    }
}

/// A call of the system's that failed on a file of keys.
public struct KeyFileError: Error, Sendable, CustomStringConvertible {
    public let operation: String
    public let code: Int32

    init(_ operation: String) {
        code = errno
        self.operation = operation
    }

    public var description: String { "\(operation): \(String(cString: strerror(code)))" }
}
