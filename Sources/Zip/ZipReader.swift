import Glibc

/// An archive that is open for reading. Opening checks its layout, so that every reader of ZIP files finds the same
/// members in it; contents are checked against their CRC-32 as they are read. There is one reading of the layout: contents
/// are taken from where it found them. Input may be hostile: nothing traps, and no more memory is taken than the
/// directory's and what a caller reads.
///
/// Not for use by two threads at once.
public final class ZipReader {
    private let descriptor: Int32
    /// The members: of the plain layout in byte order of their names, of an ordinary archive in that of its directory.
    public let members: [ZipMember]
    private let positions: [String: Int]

    /// What is asked of an archive.
    public enum Form: Sendable {
        /// The one layout of `ledger-format.md` section 14, "Archive".
        case plain
        /// Any ordinary archive of files: stored or deflated, in any order. Names are paths below a folder, in UTF-8 (what
        /// else is in one has U+FFFD instead), each once.
        case ordinary
    }

    /// Opens an archive and checks its layout.
    ///
    /// - Throws: `ZipError` with the rule that is broken and the member where it is.
    public init(path: String, form: Form = .plain) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ZipError(system: path) }
        self.descriptor = descriptor
        do {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw ZipError(system: path) }
            guard status.st_mode & S_IFMT == S_IFREG else { throw ZipError(.system, detail: "\(path) is not a file") }
            let size = UInt64(clamping: status.st_size)
            func bytes(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
                try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                    let room = UnsafeMutableRawBufferPointer(buffer)
                    try ZipReader.read(descriptor, at: offset, into: .init(rebasing: room[..<count]))
                    filled = count
                }
            }
            switch form {
            case .plain: members = try ZipLayout(size: size, read: bytes).members
            case .ordinary: members = try OrdinaryLayout(size: size, read: bytes).members
            }
        } catch {
            close(descriptor)
            throw error
        }
        positions = Dictionary(zip(members.map(\.name), members.indices)) { first, _ in first }
    }

    deinit { close(descriptor) }

    /// The member of a name; nil where there is none.
    public func member(_ name: String) -> ZipMember? { positions[name].map { members[$0] } }

    /// The content of a member.
    ///
    /// - Parameter limit: the most bytes taken.
    /// - Throws: `ZipError`, `.memberTooLarge` for a member beyond the limit.
    public func content(of name: String, limit: Int) throws -> [UInt8] {
        guard let member = member(name) else { throw ZipError(.noSuchMember, member: name) }
        guard member.size <= UInt64(limit) else { throw ZipError(.memberTooLarge, member: name) }
        var content: [UInt8] = []
        content.reserveCapacity(Int(member.size))
        try read(member) { content.append(contentsOf: $0) }
        return content
    }

    /// Hands over the content of a member in blocks of at most 1 MiB, and checks its CRC-32 at the end.
    ///
    /// - Throws: `ZipError`: `.size`, `.checksum` or `.damaged` where the content is not what the archive says, `.system`
    ///   where it can't be read.
    public func read(_ member: ZipMember, _ block: (UnsafeRawBufferPointer) throws -> Void) throws {
        try Inflater(member: member)
            .content(read: { try ZipReader.read(descriptor, at: $0, into: $1) }, block)
    }

    private static func read(_ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
    {
        var done = 0
        while done < buffer.count {
            let got = pread(
                descriptor,
                buffer.baseAddress.map { $0 + done },
                buffer.count - done,
                off_t(offset) + off_t(done)
            )
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw ZipError(.system, detail: got == 0 ? "it was shortened" : ZipError.systemWords) }
            done += got
        }
    }
}

extension ZipError {
    /// A failed system call, in the words of the current errno.
    init(system path: String) { self.init(.system, detail: "\(path): \(ZipError.systemWords)") }

    static var systemWords: String { String(cString: strerror(errno)) }
}
