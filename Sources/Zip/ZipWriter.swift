import CZip
import Glibc
public import Paths

/// What becomes a member.
public enum ZipContent: Sendable {
    case bytes([UInt8])
    /// The content of a file, which must not change while the archive is written.
    case file(path: FilePath)
}

/// Writes archives of the one form `ledger-format.md` section 14 allows: members stored, in byte order of their names,
/// of 1980-01-01 and mode 0644. The same members give the same bytes.
public enum ZipWriter {
    /// Writes an archive into a descriptor, from its beginning. What stands there after an error is no archive.
    ///
    /// - Parameters:
    ///   - descriptor: open for writing, of a file that can seek; it stays open, and the caller's to sync.
    ///   - name: what messages call the file.
    /// - Throws: `ZipError`.
    public static func write(_ members: [String: ZipContent], to descriptor: Int32, name: String) throws {
        guard members.count <= ZipLayout.maximumMembers else { throw ZipError(.tooLarge) }
        guard !members.isEmpty else { throw ZipError(.notAnArchive, detail: "there are no members") }
        if let bad = members.keys.first(where: { !ZipMember.isName($0.utf8) }) { throw ZipError(.name, member: bad) }
        let sink = try ZipSink.source(descriptor: descriptor)
        var error = zip_error_t()
        guard let archive = zip_open_from_source(sink, ZIP_CREATE | ZIP_TRUNCATE, &error) else {
            defer { zip_source_free(sink) }
            throw ZipError(.system, detail: "\(name): \(String(cString: zip_error_strerror(&error)))")
        }
        var bytes = UInt64(ZipLayout.endBytes)
        do {
            for name in members.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
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
            throw ZipError(.system, detail: "\(name): \(message)")
        }
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
            guard path.withCString({ stat($0, &status) }) == 0 else { throw ZipError(system: path.description) }
            size = UInt64(clamping: status.st_size)
            source = path.withCString { zip_source_file(archive, $0, 0, Int64(status.st_size)) }
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
}
