import Glibc
import Merkle
import Paths

/// A published directory. Every file in it appears whole: it is written without a name, synced, and put in place.
///
/// Held by one program at a time, which the lock on the directory itself sees to.
final class TileDirectory {
    static let checkpointName = "checkpoint"
    private static let tilesName = "tile"
    /// What a file that was being written is called where the file system has none without a name.
    private static let draftSuffix = Array(".part".utf8)
    private static let partialSuffix = Array(".p".utf8)
    private let root: FilePath
    private let descriptor: Int32
    /// Directories whose entries changed since the last sync.
    private var unsynced: Set<FilePath> = []

    /// Opens a directory, making it where there is none, and locks it.
    init(_ path: FilePath) throws {
        root = path
        if root.withCString({ mkdir($0, 0o755) }) == 0 {
            guard root.withCString({ chmod($0, 0o755) }) == 0 else { throw Failure(output: root, errno: errno) }
            try Draft.syncNames(in: root.parent)
        } else if errno != EEXIST {
            throw Failure(output: root, errno: errno)
        }
        descriptor = root.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure(output: root, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // Whole as it is, it closes the directory as it is given up.
            guard errno == EWOULDBLOCK else { throw Failure(output: root, errno: errno) }
            throw Failure(.busy, "\(root): another export is under way")
        }
        let known = [TileDirectory.tilesName, TileDirectory.checkpointName].map { Array($0.utf8) }
        let strangers = try TileDirectory.names(in: root).filter {
            !known.contains($0) && !TileDirectory.isDraft($0)
        }
        guard strangers.isEmpty || LocalFile.exists(root.appending(TileDirectory.checkpointName)) else {
            throw Failure(.refused, "\(root) is not empty and holds no tree")
        }
    }

    deinit { close(descriptor) }

    /// The signed note there is; nil where nothing was published yet.
    func checkpoint() throws -> String? {
        guard LocalFile.exists(root.appending(TileDirectory.checkpointName)) else { return nil }
        return String(decoding: try read(TileDirectory.checkpointName), as: UTF8.self)
    }

    func read(_ name: String) throws -> [UInt8] { try LocalFile.read(root.appending(name)) }

    /// Writes a file, unless it is there with this very content.
    ///
    /// - Returns: whether it was written.
    func write(_ bytes: [UInt8], to name: String) throws -> Bool {
        let path = root.appending(name)
        if LocalFile.exists(path), try LocalFile.read(path) == bytes { return false }
        let parent = path.parent
        try makeDirectory(parent)
        let draft = try Draft(in: parent)
        try draft.write(bytes)
        guard fchmod(draft.descriptor, 0o644) == 0 else { throw Failure(output: path, errno: errno) }
        _ = try draft.publish(as: path, replacing: true)
        unsynced.insert(parent)
        return true
    }

    /// Makes the names of everything written durable.
    func sync() throws {
        for directory in unsynced { try Draft.syncNames(in: directory) }
        unsynced = []
    }

    /// Replaces the checkpoint, durably.
    func replaceCheckpoint(_ note: String) throws {
        _ = try write(Array(note.utf8), to: TileDirectory.checkpointName)
        try sync()
    }

    private func makeDirectory(_ path: FilePath) throws {
        guard path != root, !LocalFile.exists(path) else { return }
        let parent = path.parent
        try makeDirectory(parent)
        guard path.withCString({ mkdir($0, 0o755) == 0 && chmod($0, 0o755) == 0 }) else {
            throw Failure(output: path, errno: errno)
        }
        unsynced.insert(parent)
    }

    // MARK: Leftovers

    /// Removes partial tiles whose full tile was there already under a checkpoint of `size` entries, and drafts of an
    /// export that was cut off. Whoever still reads by an older checkpoint finds the full tile.
    ///
    /// - Returns: how many files were removed.
    func removeLeftovers(before size: UInt64) throws -> Int {
        var removed = 0
        for name in try TileDirectory.names(in: root) where TileDirectory.isDraft(name) {
            removed += TileDirectory.remove(root.appending(name))
        }
        try removeLeftovers(in: TileDirectory.tilesName, size, &removed)
        return removed
    }

    private func removeLeftovers(in directory: String, _ size: UInt64, _ removed: inout Int) throws {
        guard LocalFile.exists(root.appending(directory)) else { return }
        for bytes in try TileDirectory.names(in: root.appending(directory)) {
            let found = root.appending(directory).appending(bytes)
            if TileDirectory.isDraft(bytes) {
                removed += TileDirectory.remove(found)
                continue
            }
            // A tile's name is ASCII; what is none is nobody's business here.
            guard bytes.allSatisfy({ $0 < 0x80 }) else { continue }
            let path = "\(directory)/\(String(decoding: bytes, as: UTF8.self))"
            if bytes.suffix(2).elementsEqual(TileDirectory.partialSuffix) {
                let isReplaced = Tile(path: path.dropLast(2))?.exists(inTreeOf: size) ?? false
                for partial in try TileDirectory.names(in: found) where isReplaced || TileDirectory.isDraft(partial) {
                    removed += TileDirectory.remove(found.appending(partial))
                }
                if isReplaced { _ = found.withCString { rmdir($0) } }
            } else if Tile(path: path) == nil {
                // A level, or a group of digits; full tiles are what is not.
                try removeLeftovers(in: path, size, &removed)
            }
        }
    }

    private static func isDraft(_ name: [UInt8]) -> Bool { name.suffix(draftSuffix.count).elementsEqual(draftSuffix) }

    /// Removes a file, and gives how many were.
    private static func remove(_ path: FilePath) -> Int { path.withCString { unlink($0) } == 0 ? 1 : 0 }

    private static func names(in directory: FilePath) throws -> [[UInt8]] {
        guard let stream = directory.withCString({ opendir($0) }) else {
            throw Failure(output: directory, errno: errno)
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        return names
    }
}
