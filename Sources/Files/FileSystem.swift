import CLinux
public import Glibc
public import OpenSSL

/// A failed system call on a path.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    public let operation: String
    public let errno: Int32

    /// - Parameters:
    ///   - operation: what was tried, with the path.
    ///   - code: an errno.
    public init(_ operation: String, errno code: Int32 = Glibc.errno) {
        self.operation = operation
        errno = code
    }

    /// The file system has no room: the disk, a quota or the largest size of a file.
    public var isOutOfRoom: Bool { [ENOSPC, EDQUOT, EFBIG].contains(errno) }

    public var description: String { "\(operation): \(String(cString: strerror(errno)))" }
}

/// The few file operations whose order and durability the ledger depends on.
public enum FileSystem {
    /// Whether a path leads to something.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether a name is taken, if only by a symbolic link that leads nowhere.
    public static func isTaken(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Makes a directory and those above it, as far as they are missing.
    ///
    /// - Parameter made: told of each that was made.
    public static func makeDirectory(_ path: String, made: (String) -> Void = { _ in }) throws {
        let bytes = Array(path.utf8)
        var end = bytes.startIndex
        while end < bytes.endIndex {
            end = bytes[end...].firstIndex { $0 != UInt8(ascii: "/") } ?? bytes.endIndex
            end = bytes[end...].firstIndex(of: UInt8(ascii: "/")) ?? bytes.endIndex
            let partial = String(decoding: bytes[..<end], as: UTF8.self)
            if mkdir(partial, 0o700) == 0 {
                made(partial)
                try syncDirectory(parent(of: partial))
            } else if errno != EEXIST {
                throw SystemError("creating \(partial)")
            }
        }
    }

    /// Bytes of a file; nil where there is none.
    public static func size(of path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// The device a path lies on, or will: that of the nearest directory above that is there. nil where none can be
    /// looked at.
    public static func device(near path: String) -> dev_t? {
        var status = stat()
        var path = path
        while stat(path, &status) != 0 {
            let parent = parent(of: path)
            guard errno == ENOENT, !parent.utf8.elementsEqual(path.utf8) else { return nil }
            path = parent
        }
        return status.st_dev
    }

    /// Where a file of that path stands, or would: the path itself, or what it leads to where it is a symbolic link, even
    /// one to a file that is not there. What is renamed or removed has to be that: the link stays.
    ///
    /// - Throws: `SystemError`: `ELOOP` for a ring of links, `EILSEQ` for one whose target is no UTF-8.
    public static func target(of path: String) throws -> String {
        var path = path
        // As many as the kernel follows.
        for _ in 0..<40 {
            var link = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = link.withUnsafeMutableBytes { room in
                room.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), room.count) } ?? -1
            }
            if count < 0 {
                guard [EINVAL, ENOENT, ENOTDIR].contains(errno) else { throw SystemError("following \(path)") }
                return path
            }
            guard let next = String(validating: link[..<count], as: UTF8.self) else {
                throw SystemError("following \(path)", errno: EILSEQ)
            }
            path = next.utf8.first == UInt8(ascii: "/") ? next : parent(of: path) + "/" + next
        }
        throw SystemError("following \(path)", errno: ELOOP)
    }

    /// The directory a path names its last part in.
    public static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes the names in a directory durable.
    ///
    /// - Throws: `SystemError`.
    public static func syncDirectory(_ path: String) throws {
        let descriptor = try openDirectory(path)
        defer { close(descriptor) }
        try syncDirectory(descriptor, path)
    }

    /// The same, of one that is open.
    public static func syncDirectory(_ descriptor: Int32, _ path: String) throws {
        guard fsync(descriptor) == 0 else { throw SystemError("syncing \(path)") }
    }

    /// Opens a directory, to be synced; the caller closes it.
    public static func openDirectory(_ path: String) throws -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        return descriptor
    }

    /// Writes all of the bytes at a place of an open file.
    ///
    /// - Parameter name: of the file, for the error.
    /// - Throws: `SystemError`.
    public static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int, name: String) throws {
        try bytes.withUnsafeBytes { try write($0, to: descriptor, at: offset, name: name) }
    }

    /// The same.
    public static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int, name: String) throws
    {
        let done = try transfer(bytes.count, "writing \(name)") { done in
            pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
        }
        guard done == bytes.count else { throw SystemError("writing \(name)", errno: EIO) }
    }

    /// Has the kernel begin to write out a part of a file, so that the sync at its end does not wait for all of it. Nothing
    /// becomes durable by it.
    public static func beginWritingOut(_ descriptor: Int32, at offset: Int, count: Int) {
        evidenced_begin_writing_out(descriptor, Int64(offset), Int64(count))
    }

    /// Repeats a call until it has moved so many bytes, or moves none.
    ///
    /// - Parameter move: the call; takes how many are done, gives how many more it did, or −1 and sets `errno`.
    /// - Returns: how many bytes.
    private static func transfer(_ count: Int, _ operation: String, _ move: (Int) -> Int) throws -> Int {
        var done = 0
        while done < count {
            let moved = move(done)
            if moved < 0, errno == EINTR { continue }
            guard moved >= 0 else { throw SystemError(operation) }
            if moved == 0 { break }
            done += moved
        }
        return done
    }

    /// Reads a whole small file.
    public static func read(_ path: String, limit: Int) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        defer { close(descriptor) }
        return try read(descriptor, at: 0, count: limit, name: path)
    }

    /// Reads a whole small file that holds secrets.
    public static func readSecret(_ path: String, limit: Int) throws -> SecretBytes {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        defer { close(descriptor) }
        var count = 0
        let room = try SecretBytes(count: limit) { count = try read(descriptor, at: 0, into: $0, name: path) }
        return room.withUnsafeBytes { room in
            SecretBytes(count: count) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: room[..<count])) }
        }
    }

    /// Reads up to `count` bytes; fewer where the file ends.
    public static func read(_ descriptor: Int32, at offset: Int, count: Int, name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        // Room is made for what was found, not for what may be there.
        while bytes.count < count {
            let step = min(count - bytes.count, readStep)
            let block = try [UInt8](unsafeUninitializedCapacity: step) { room, done in
                done = try read(
                    descriptor,
                    at: offset + bytes.count,
                    into: UnsafeMutableRawBufferPointer(room),
                    name: name
                )
            }
            bytes += block
            if block.count < step { break }
        }
        return bytes
    }

    private static let readStep = 1 << 16

    /// Fills a buffer, or what there is of the file.
    ///
    /// - Returns: how many bytes.
    /// - Throws: `SystemError`.
    public static func read(
        _ descriptor: Int32,
        at offset: Int,
        into buffer: UnsafeMutableRawBufferPointer,
        name: String
    ) throws -> Int {
        try transfer(buffer.count, "reading \(name)") { done in
            pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
        }
    }
}

extension FileSystem {
    /// What a file system says that doesn't have the call, or no links.
    private static let unsupported: Set<Int32> = [EPERM, EOPNOTSUPP, ENOSYS, EMLINK]

    /// Renames a file to a name that is not taken; where the file system can neither rename so nor link, as FAT and some
    /// of FUSE, to one that was not taken a moment ago.
    ///
    /// Where both names are one file's already, an earlier call was cut off between giving the new name and taking the
    /// old one away, and this one ends it.
    ///
    /// - Returns: false, and `errno`, where it was not renamed: `EEXIST` where the name is taken.
    public static func renameNew(_ from: String, _ to: String) -> Bool {
        if evidenced_rename_new(from, to) == 0 { return true }
        if errno == EEXIST {
            guard areOneFile(from, to) else {
                errno = EEXIST
                return false
            }
            return unlink(from) == 0
        }
        guard unsupported.contains(errno) else { return false }
        guard !isTaken(to) else {
            errno = EEXIST
            return false
        }
        return rename(from, to) == 0
    }

    private static func areOneFile(_ path: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        return lstat(path, &first) == 0 && lstat(other, &second) == 0 && first.st_dev == second.st_dev
            && first.st_ino == second.st_ino
    }

    /// Renames a file, where it exists, to its path with a suffix, and a number more where that is taken.
    public static func moveAside(_ path: String, suffix: String) throws {
        guard exists(path) else { return }
        try underFreeName(path + suffix) { name in
            guard renameNew(path, name) else { throw SystemError("moving \(path) aside") }
        }
        try syncDirectory(parent(of: path))
    }

    /// Tries a name, and the same with a number more, until `body` does not find it taken.
    ///
    /// - Parameter body: throws a `SystemError` of `EEXIST` where it is.
    public static func underFreeName(_ name: String, _ body: (String) throws -> Void) throws {
        var free = name
        var attempt = 1
        while true {
            do {
                return try body(free)
            } catch let error as SystemError where error.errno == EEXIST {
                attempt += 1
                free = "\(name).\(attempt)"
            }
        }
    }
}
