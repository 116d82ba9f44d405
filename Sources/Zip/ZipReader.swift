import CZip
import Glibc

/// An archive that is open for reading. Opening checks its layout, so that every reader of ZIP files finds the same
/// members in it; contents are checked against their CRC-32 as they are read. Input may be hostile: nothing traps,
/// and no more memory is taken than the directory's and what a caller reads.
///
/// Not for use by two threads at once.
public final class ZipReader {
    private let archive: OpaquePointer
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
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw ZipError(system: path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ZipError(.system, detail: "\(path) is not a file") }
        let size = UInt64(clamping: status.st_size)
        switch form {
        case .plain:
            members = try ZipLayout(size: size) { try ZipReader.read(descriptor, at: $0, count: $1) }.members
        case .ordinary:
            let layout = try OrdinaryLayout(size: size) { try ZipReader.read(descriptor, at: $0, count: $1) }
            members = layout.members.map { member in
                ZipMember(
                    name: String(decoding: member.name, as: UTF8.self),
                    size: member.size,
                    position: member.position
                )
            }
        }
        positions = Dictionary(zip(members.map(\.name), members.indices)) { first, _ in first }
        // libzip reads the very file that was checked, whatever the path names by now.
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw ZipError(system: path) }
        var code: Int32 = 0
        // What libzip asks beyond that is of the plain layout.
        guard let archive = zip_fdopen(copy, form == .plain ? ZIP_CHECKCONS : 0, &code) else {
            close(copy)
            throw ZipError(code == ZIP_ER_NOZIP ? .notAnArchive : ZipError.rule(code), detail: ZipError.words(code))
        }
        self.archive = archive
        let isSame = members.allSatisfy { member in
            var status = zip_stat_t()
            return zip_stat_index(archive, member.position, 0, &status) == 0 && status.size == member.size
        }
        guard isSame, form == .ordinary || zip_get_num_entries(archive, 0) == Int64(members.count) else {
            throw ZipError(.damaged, detail: "libzip counts other members")
        }
    }

    deinit { zip_discard(archive) }

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
    public func read(_ member: ZipMember, _ block: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let file = zip_fopen_index(archive, member.position, 0) else {
            throw ZipError(
                ZipError.rule(zip_error_code_zip(zip_get_error(archive))),
                member: member.name,
                detail: message
            )
        }
        defer { zip_fclose(file) }
        var left = member.size
        try withUnsafeTemporaryAllocation(byteCount: Int(min(max(left, 1), 1 << 20)), alignment: 16) { buffer in
            while true {
                // One read beyond the last byte makes libzip compare the checksum.
                let count = zip_fread(file, buffer.baseAddress!, UInt64(buffer.count))
                guard count >= 0 else {
                    let code = zip_error_code_zip(zip_file_get_error(file))
                    throw ZipError(ZipError.rule(code), member: member.name, detail: ZipError.words(code))
                }
                if count == 0 { break }
                guard UInt64(count) <= left else { throw ZipError(.size, member: member.name) }
                left -= UInt64(count)
                try block(UnsafeRawBufferPointer(rebasing: buffer[..<Int(count)]))
            }
        }
        guard left == 0 else { throw ZipError(.size, member: member.name) }
    }

    private var message: String { String(cString: zip_error_strerror(zip_get_error(archive))) }

    private static func read(_ descriptor: Int32, at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + done }, count - done, off_t(offset) + off_t(done))
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw ZipError(.system, detail: got == 0 ? "it was shortened" : ZipError.systemWords) }
            done += got
        }
        return bytes
    }
}

extension ZipError {
    /// A failed system call, in the words of the current errno.
    init(system path: String) { self.init(.system, detail: "\(path): \(ZipError.systemWords)") }

    static var systemWords: String { String(cString: strerror(errno)) }

    /// The rule a code of libzip stands for.
    static func rule(_ code: Int32) -> Rule {
        switch code {
        case ZIP_ER_CRC: .checksum
        case ZIP_ER_READ, ZIP_ER_SEEK, ZIP_ER_TELL, ZIP_ER_OPEN, ZIP_ER_TMPOPEN, ZIP_ER_MEMORY: .system
        default: .damaged
        }
    }

    /// What libzip says of one of its codes.
    static func words(_ code: Int32) -> String {
        var error = zip_error_t()
        zip_error_init_with_code(&error, code)
        defer { zip_error_fini(&error) }
        return String(cString: zip_error_strerror(&error))
    }
}
