import Glibc
import Zip

/// The files below a folder. Links are refused, wherever they lead; each file is opened below the folder that was opened,
/// so that nothing put in its place meanwhile is followed.
final class FolderReader {
    private let descriptor: Int32
    /// Paths below the folder, as bytes.
    private(set) var files: [(name: [UInt8], size: UInt64)] = []

    /// Lists all files; nil where the path names no folder.
    ///
    /// - Throws: `ZipError`, in whose words a folder is a container like an archive.
    init?(path: String) throws {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else {
            guard errno == ENOTDIR else { throw ZipError(.system, detail: "\(path): \(FolderReader.systemWords)") }
            return nil
        }
        try list(descriptor, below: [])
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func list(_ folder: Int32, below path: [UInt8]) throws {
        let shown = String(decoding: path, as: UTF8.self)
        let copy = openat(folder, ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard copy >= 0 else { throw ZipError(.system, member: shown, detail: FolderReader.systemWords) }
        guard let stream = fdopendir(copy) else {
            defer { close(copy) }
            throw ZipError(.system, member: shown, detail: FolderReader.systemWords)
        }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                // Files behind one that can't be listed would seem to be missing.
                guard errno == 0 else { throw ZipError(.system, member: shown, detail: FolderReader.systemWords) }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            guard !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else { continue }
            let below = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            let member = String(decoding: below, as: UTF8.self)
            guard ZipName.isPath(below) else { throw ZipError(.name, member: ZipName.shown(below)) }
            var status = stat()
            let isThere = (name + [0]).withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    fstatat(folder, $0.baseAddress!, &status, AT_SYMLINK_NOFOLLOW) == 0
                }
            }
            guard isThere else { throw ZipError(.system, member: member, detail: FolderReader.systemWords) }
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                let inner = FolderReader.file(below: folder, name, O_DIRECTORY)
                guard inner >= 0 else { throw ZipError(.system, member: member, detail: FolderReader.systemWords) }
                defer { close(inner) }
                try list(inner, below: below)
            case S_IFREG:
                guard files.count < 65_534 else { throw ZipError(.tooLarge) }
                files.append((below, UInt64(clamping: status.st_size)))
            default: throw ZipError(.link, member: member)
            }
        }
    }

    /// Hands over the content of a file in blocks of at most 1 MiB.
    ///
    /// - Parameter size: as it was listed.
    /// - Throws: `ZipError`, `.system` also for a file of another size or kind by now: what it was to be is not known.
    func read(_ name: [UInt8], size: UInt64, _ block: (UnsafeRawBufferPointer) throws -> Void) throws {
        let member = String(decoding: name, as: UTF8.self)
        func failure(_ detail: String) -> ZipError { ZipError(.system, member: member, detail: detail) }
        var folder = descriptor
        defer { if folder != descriptor { close(folder) } }
        let parts = name.split(separator: UInt8(ascii: "/"))
        for part in parts.dropLast() {
            let inner = FolderReader.file(below: folder, Array(part), O_DIRECTORY)
            guard inner >= 0 else { throw failure(FolderReader.systemWords) }
            if folder != descriptor { close(folder) }
            folder = inner
        }
        let file = FolderReader.file(below: folder, Array(parts[parts.count - 1]), O_NONBLOCK)
        guard file >= 0 else { throw failure(FolderReader.systemWords) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure(FolderReader.systemWords) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw failure(FolderReader.changed) }
        var left = size
        try withUnsafeTemporaryAllocation(byteCount: Int(min(size, 1 << 20)) + 1, alignment: 16) { buffer in
            while true {
                let count = Glibc.read(file, buffer.baseAddress, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw failure(FolderReader.systemWords) }
                guard UInt64(count) <= left else { throw failure(FolderReader.changed) }
                if count == 0 { break }
                left -= UInt64(count)
                try block(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        guard left == 0 else { throw failure(FolderReader.changed) }
    }

    private static func file(below folder: Int32, _ name: [UInt8], _ flags: Int32) -> Int32 {
        (name + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                openat(folder, $0.baseAddress!, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags)
            }
        }
    }

    private static let changed = "it was changed meanwhile"
    private static var systemWords: String { String(cString: strerror(errno)) }
}
