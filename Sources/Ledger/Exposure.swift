import Files
import Glibc

/// Who else than the service may read or write what a ledger lies in, as far as owners and permissions of files tell. Of
/// an access list only its mask shows, as the permissions of the group.
public struct Exposure {
    /// Who the service runs as.
    private let user: uid_t
    private let group: gid_t
    private var told: Set<[UInt8]> = []
    /// What is unwise, a sentence each.
    public private(set) var warnings: [String] = []

    /// - Parameter store: the store's directory, which need not be there yet. Whom it belongs to, or will, is who the
    ///   service runs as, where root asks.
    public init(store: String) {
        var status = stat()
        var path = store
        while stat(path, &status) != 0, path.utf8.count > 1 { path = FileSystem.parent(of: path) }
        (user, group) = geteuid() == 0 ? (status.st_uid, status.st_gid) : (geteuid(), getegid())
    }

    /// The directory a file is in.
    public static func directory(of path: String) -> String { FileSystem.parent(of: path) }

    /// Looks at a directory, and at those above it: who may write in one can put another in the place of what is there.
    ///
    /// - Parameters:
    ///   - key: of the configuration, for people.
    ///   - isPrivate: whether nobody else may read it either.
    public mutating func directory(_ path: String, key: String, isPrivate: Bool) {
        if isPrivate {
            tell(
                path,
                key,
                S_IROTH | S_IRGRP,
                "read",
                "who may read it can hold it, and keep a ledger from being recovered"
            )
        }
        var path = path
        while true {
            tell(
                path,
                key,
                S_IWOTH | S_IWGRP,
                "written to",
                "who may can put something else in the place of what is in it"
            )
            let parent = FileSystem.parent(of: path)
            guard !parent.utf8.elementsEqual(path.utf8) else { return }
            path = parent
        }
    }

    /// Looks at a file, and at the directories it is in.
    ///
    /// - Parameter isSecret: whether nobody else may read it.
    public mutating func file(_ path: String, key: String, isSecret: Bool = false) {
        if isSecret { tell(path, key, S_IROTH | S_IRGRP, "read", "it holds secret keys") }
        tell(path, key, S_IWOTH | S_IWGRP, "written to", "what it holds is nobody's any more")
        directory(FileSystem.parent(of: path), key: key, isPrivate: false)
    }

    /// Notes where others have one of the permissions; once of a path.
    private mutating func tell(_ path: String, _ key: String, _ bits: mode_t, _ may: String, _ why: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        // In a sticky directory nobody takes away what is another's.
        let isWriting = bits & S_IWOTH != 0
        if isWriting, isDirectory, status.st_mode & S_ISVTX != 0 { return }
        let isGroups = status.st_gid != group && status.st_gid != 0
        let others = status.st_mode & bits & (isGroups ? S_IRWXG | S_IRWXO : S_IRWXO)
        let isForeign = isWriting && status.st_uid != user && status.st_uid != 0
        guard others != 0 || isForeign, told.insert(Array("\(may) \(path)".utf8)).inserted else { return }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        let who = others != 0 ? "others than the service (mode \(mode))" : "user \(status.st_uid), whose it is"
        warnings.append("\(key): \(path) may be \(may) by \(who): \(why)")
    }
}
