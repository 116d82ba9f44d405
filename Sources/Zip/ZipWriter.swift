import CZip
import Glibc

/// What becomes a member.
public enum ZipContent: Sendable {
    case bytes([UInt8])
    /// The content of a file, which must not change while the archive is written.
    case file(path: String)
}

/// Writes archives of the one form `ledger-format.md` section 14 allows: members stored, in byte order of their names,
/// of 1980-01-01 and mode 0644. The same members give the same bytes.
public enum ZipWriter {
    /// Writes an archive beside `path`, syncs it, hands it to `check`, and renames it into place: it is there as a whole
    /// or not at all.
    ///
    /// - Parameter check: gets the path of the finished archive. What it throws leaves nothing behind.
    /// - Throws: `ZipError`, or what `check` throws.
    public static func write(
        _ members: [String: ZipContent],
        to path: String,
        check: (_ finished: String) throws -> Void = { _ in }
    ) throws {
        guard members.count <= ZipLayout.maximumMembers else { throw ZipError(.tooLarge) }
        let draft = "\(path).\(getpid()).part"
        unlink(draft)
        do {
            try build(members, at: draft)
            try sync(draft)
            try check(draft)
            guard rename(draft, path) == 0 else { throw ZipError(system: path) }
        } catch {
            unlink(draft)
            throw error
        }
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try sync(parent, O_DIRECTORY)
    }

    private static func build(_ members: [String: ZipContent], at path: String) throws {
        var code: Int32 = 0
        guard let archive = zip_open(path, ZIP_CREATE | ZIP_EXCL, &code) else {
            throw ZipError(.system, detail: "\(path): \(ZipError.words(code))")
        }
        var bytes = UInt64(ZipLayout.endBytes)
        do {
            for name in members.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
                guard ZipMember.isName(name.utf8) else { throw ZipError(.name, member: name) }
                guard let content = members[name] else { continue }
                bytes += UInt64(ZipLayout.localBytes + ZipLayout.centralBytes + 2 * name.utf8.count)
                bytes += try add(content, name: name, to: archive)
                guard bytes <= ZipLayout.maximumBytes else { throw ZipError(.tooLarge) }
            }
        } catch {
            zip_discard(archive)
            throw error
        }
        guard zip_close(archive) == 0 else {
            let message = String(cString: zip_error_strerror(zip_get_error(archive)))
            zip_discard(archive)
            throw ZipError(.system, detail: "\(path): \(message)")
        }
        // libzip writes no file for an archive without members.
        guard access(path, F_OK) == 0 else { throw ZipError(.notAnArchive, detail: "there are no members") }
    }

    /// Adds one member and gives its size.
    private static func add(_ content: ZipContent, name: String, to archive: OpaquePointer) throws -> UInt64 {
        func failure() -> ZipError {
            ZipError(.system, member: name, detail: String(cString: zip_error_strerror(zip_get_error(archive))))
        }
        let size: UInt64
        let source: OpaquePointer?
        switch content {
        case .bytes(let bytes):
            size = UInt64(bytes.count)
            // The archive reads it when it is closed, and frees it.
            guard let copy = malloc(max(bytes.count, 1)) else { throw ZipError(.system, member: name) }
            bytes.withUnsafeBytes { if let base = $0.baseAddress { memcpy(copy, base, bytes.count) } }
            source = zip_source_buffer(archive, copy, UInt64(bytes.count), 1)
        case .file(let path):
            var status = stat()
            guard stat(path, &status) == 0 else { throw ZipError(system: path) }
            size = UInt64(clamping: status.st_size)
            source = zip_source_file(archive, path, 0, Int64(status.st_size))
        }
        guard let source else { throw failure() }
        let index = zip_file_add(archive, name, source, 0)
        guard index >= 0 else {
            zip_source_free(source)
            throw failure()
        }
        guard zip_set_file_compression(archive, UInt64(index), ZIP_CM_STORE, 0) == 0,
            zip_file_set_dostime(archive, UInt64(index), 0, ZipLayout.dosDate, 0) == 0,
            zip_file_set_external_attributes(
                archive,
                UInt64(index),
                0,
                UInt8(truncatingIfNeeded: ZipLayout.unix),
                ZipLayout.attributes
            ) == 0
        else { throw failure() }
        return size
    }

    private static func sync(_ path: String, _ flags: Int32 = 0) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | flags)
        guard descriptor >= 0 else { throw ZipError(system: path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw ZipError(system: path) }
    }
}
