import Glibc
import Merkle

/// A published directory. Every file in it appears whole: it is written under another name, synced, and renamed.
///
/// Held by one program at a time, which the lock on the directory itself sees to.
final class TileDirectory {
    static let checkpointName = "checkpoint"
    private static let draftSuffix = ".part"
    private let root: String
    private let descriptor: Int32
    /// Directories whose entries changed since the last sync.
    private var unsynced: Set<String> = []

    /// Opens a directory, making it where there is none, and locks it.
    init(_ path: String) throws {
        root = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        if mkdir(root, 0o755) == 0 {
            guard chmod(root, 0o755) == 0 else { throw Failure(path: root, errno: errno) }
            try TileDirectory.sync(LocalFile.parent(root))
        } else if errno != EEXIST {
            throw Failure(path: root, errno: errno)
        }
        descriptor = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: root, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            defer { close(descriptor) }
            guard errno == EWOULDBLOCK else { throw Failure(path: root, errno: errno) }
            throw Failure(.busy, "\(root): another export is under way")
        }
        let strangers = try TileDirectory.names(in: root).filter {
            !["tile", TileDirectory.checkpointName].contains($0) && !$0.hasSuffix(TileDirectory.draftSuffix)
        }
        guard strangers.isEmpty || LocalFile.exists("\(root)/\(TileDirectory.checkpointName)") else {
            throw Failure(.refused, "\(root) is not empty and holds no tree")
        }
    }

    deinit { close(descriptor) }

    /// The signed note there is; nil where nothing was published yet.
    func checkpoint() throws -> String? {
        guard LocalFile.exists("\(root)/\(TileDirectory.checkpointName)") else { return nil }
        return String(decoding: try read(TileDirectory.checkpointName), as: UTF8.self)
    }

    func read(_ name: String) throws -> [UInt8] { try LocalFile.read("\(root)/\(name)") }

    /// Writes a file, unless it is there with this very content.
    ///
    /// - Returns: whether it was written.
    func write(_ bytes: [UInt8], to name: String) throws -> Bool {
        let path = "\(root)/\(name)"
        if LocalFile.exists(path), try LocalFile.read(path) == bytes { return false }
        let parent = LocalFile.parent(path)
        try makeDirectory(parent)
        let draft = path + TileDirectory.draftSuffix
        try LocalFile.write(bytes, to: draft)
        let file = open(draft, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path: draft, errno: errno) }
        defer { close(file) }
        guard fchmod(file, 0o644) == 0, fsync(file) == 0, rename(draft, path) == 0 else {
            throw Failure(path: path, errno: errno)
        }
        unsynced.insert(parent)
        return true
    }

    /// Makes the names of everything written durable.
    func sync() throws {
        for directory in unsynced { try TileDirectory.sync(directory) }
        unsynced = []
    }

    /// Replaces the checkpoint, durably.
    func replaceCheckpoint(_ note: String) throws {
        _ = try write(Array(note.utf8), to: TileDirectory.checkpointName)
        try sync()
    }

    private func makeDirectory(_ path: String) throws {
        guard path != root, !LocalFile.exists(path) else { return }
        let parent = LocalFile.parent(path)
        try makeDirectory(parent)
        guard mkdir(path, 0o755) == 0, chmod(path, 0o755) == 0 else { throw Failure(path: path, errno: errno) }
        unsynced.insert(parent)
    }

    // MARK: Leftovers

    /// Removes partial tiles whose full tile was there already under a checkpoint of `size` entries, and drafts of an
    /// export that was cut off. Whoever still reads by an older checkpoint finds the full tile.
    ///
    /// - Returns: how many files were removed.
    func removeLeftovers(before size: UInt64) throws -> Int {
        var removed = 0
        try removeLeftovers(in: "tile", size, &removed)
        if unlink("\(root)/\(TileDirectory.checkpointName)\(TileDirectory.draftSuffix)") == 0 { removed += 1 }
        return removed
    }

    private func removeLeftovers(in directory: String, _ size: UInt64, _ removed: inout Int) throws {
        guard LocalFile.exists("\(root)/\(directory)") else { return }
        for name in try TileDirectory.names(in: "\(root)/\(directory)") {
            let path = "\(directory)/\(name)"
            if name.hasSuffix(TileDirectory.draftSuffix) {
                if unlink("\(root)/\(path)") == 0 { removed += 1 }
            } else if name.hasSuffix(".p") {
                let isReplaced = Tile(path: path.dropLast(2))?.exists(inTreeOf: size) ?? false
                for partial in try TileDirectory.names(in: "\(root)/\(path)")
                where isReplaced || partial.hasSuffix(TileDirectory.draftSuffix) {
                    if unlink("\(root)/\(path)/\(partial)") == 0 { removed += 1 }
                }
                if isReplaced { rmdir("\(root)/\(path)") }
            } else if Tile(path: path) == nil {
                // A level, or a group of digits; full tiles are what is not.
                try removeLeftovers(in: path, size, &removed)
            }
        }
    }

    private static func names(in directory: String) throws -> [String] {
        guard let stream = opendir(directory) else { throw Failure(path: directory, errno: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func sync(_ directory: String) throws {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: directory, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Failure(path: directory, errno: errno) }
    }
}
