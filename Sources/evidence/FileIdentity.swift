import Glibc
import Paths

/// Which file it is, by whatever name or link: device and inode number.
struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64
    /// Type and permissions, as `st_mode` has them.
    let mode: mode_t

    static func == (left: FileIdentity, right: FileIdentity) -> Bool {
        left.device == right.device && left.inode == right.inode
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(device)
        hasher.combine(inode)
    }

    var type: mode_t { mode & S_IFMT }

    /// What stands at a path; nil where nothing does.
    ///
    /// - Parameter following: whether a symbolic link is followed.
    init?(_ path: FilePath, following: Bool = true) {
        var status = stat()
        guard path.withCString({ following ? stat($0, &status) : lstat($0, &status) }) == 0 else { return nil }
        self.init(status)
    }

    /// What is open; nil where nothing is.
    init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        mode = status.st_mode
    }
}
