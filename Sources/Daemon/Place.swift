import Glibc
import Paths

/// A path of the configuration as a place of the file system: by its parts, and, as far as it exists, by device and inode,
/// whatever links lead there.
struct Place {
    private let path: FilePath

    init(_ path: String) { self.path = FilePath(path) }

    /// Whether two paths are one place.
    func isSame(as other: Place) -> Bool {
        if path.parts == other.path.parts { return true }
        guard let own = Place.identity(path), let others = Place.identity(other.path) else { return false }
        return own == others
    }

    /// Whether it lies in a directory or somewhere below.
    func isWithin(_ directory: Place) -> Bool {
        if path.isBelow(directory.path) { return true }
        guard let wanted = Place.identity(directory.path) else { return false }
        var above = path.parent
        while Place.identity(above) != wanted {
            guard above != above.parent else { return false }
            above = above.parent
        }
        return true
    }

    /// Device and inode of what stands there; nil where nothing does.
    private static func identity(_ path: FilePath) -> [UInt64]? {
        var status = stat()
        guard path.withCString({ stat($0, &status) }) == 0 else { return nil }
        return [UInt64(status.st_dev), UInt64(status.st_ino)]
    }
}
