import Files
import Glibc
import Synchronization

/// A directory that appears whole or not at all: it is filled under a name of its own beside its place, and gets its
/// name last. Every step goes by descriptors, component by component, and through no symbolic link below the root, so
/// that nothing leads out of it.
final class BackupDirectory: Sendable {
    private enum Fate { case open, named, removed }

    private static let prefix = Array(".evidenced-backup-".utf8)
    private static let suffix = Array(".partial".utf8)
    private static let file = "data.mdb"
    /// What may have been written there.
    private static let files = [file, "root.key"]
    /// The directory to be, as it was asked for.
    private let path: String
    private let name: [UInt8]
    private let parent: Descriptor
    private let directory: Descriptor
    private let partialName: [UInt8]
    /// Decided once, by the thread that fills it or by one that gives it up.
    private let fate = Mutex(Fate.open)
    /// The file to fill.
    let data: Descriptor
    /// Where it is until it has its name.
    let partialPath: String

    /// Makes the directory under its temporary name, with an empty data file.
    ///
    /// - Parameters:
    ///   - path: absolute; must be empty or not exist, its parent must.
    ///   - root: the directory it must lie below; nil for anywhere.
    /// - Throws: `LedgerError.invalidArgument` for a path that breaks a rule, else `SystemError`.
    init(_ path: String, below root: String?) throws {
        let components = try BackupDirectory.components(path)
        let rootComponents = try BackupDirectory.components(root ?? "/")
        guard components.starts(with: rootComponents), components.count > rootComponents.count,
            let name = components.last
        else {
            throw BackupDirectory.broken("must lie below \(root ?? "/")")
        }
        self.path = path
        self.name = name
        var parent = Descriptor(open(root ?? "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard parent.isOpen else { throw SystemError("opening \(root ?? "/")") }
        for component in components[rootComponents.count..<components.count - 1] {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let next = Descriptor(BackupDirectory.named(component) { openat(parent.number, $0, flags) })
            guard next.isOpen else { throw BackupDirectory.refusal(errno, opening: component, path) }
            parent = next
        }
        try BackupDirectory.requireEmptyOrMissing(name, in: parent, path)
        BackupDirectory.removeAbandoned(in: parent)
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        partialName = BackupDirectory.prefix + Array(random.utf8) + BackupDirectory.suffix
        guard BackupDirectory.named(partialName, { mkdirat(parent.number, $0, 0o700) }) == 0 else {
            throw SystemError("making a directory beside \(path)")
        }
        self.parent = parent
        let above = components.dropLast().map { "/" + String(decoding: $0, as: UTF8.self) }.joined()
        partialPath = above + "/" + String(decoding: partialName, as: UTF8.self)
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        directory = Descriptor(BackupDirectory.named(partialName) { openat(parent.number, $0, flags) })
        data = Descriptor(
            directory.isOpen
                ? openat(
                    directory.number,
                    BackupDirectory.file,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0o600
                )
                : -1
        )
        let code = errno
        guard data.isOpen else {
            remove()
            throw SystemError("making a file in \(partialPath)", errno: code)
        }
        // Whoever finds the name knows by this whether somebody is still at work under it.
        _ = flock(directory.number, LOCK_EX | LOCK_NB)
    }

    /// Syncs what was written and gives the directory its name, both durably.
    func finish() throws {
        guard fsync(data.number) == 0 else { throw SystemError("syncing the copy") }
        guard fsync(directory.number) == 0 else { throw SystemError("syncing \(partialPath)") }
        try fate.withLock { fate in
            guard fate == .open else { throw LedgerError.stopping }
            let code = BackupDirectory.named(partialName) { from in
                BackupDirectory.named(name) { renameat(parent.number, from, parent.number, $0) }
            }
            guard code == 0 else { throw SystemError("naming \(path)") }
            fate = .named
        }
        guard fsync(parent.number) == 0 else { throw SystemError("syncing the directory of \(path)") }
    }

    /// Removes what has no name yet; whoever still fills it fills nothing.
    func remove() {
        fate.withLock { fate in
            guard fate == .open else { return }
            fate = .removed
            if directory.isOpen { for file in BackupDirectory.files { unlinkat(directory.number, file, 0) } }
            _ = BackupDirectory.named(partialName) { unlinkat(parent.number, $0, AT_REMOVEDIR) }
        }
    }

    /// Whether the file at `partialPath` is the one that was filled: the way there may have been changed meanwhile.
    var isInPlace: Bool {
        var (here, there) = (stat(), stat())
        guard fstat(data.number, &here) == 0, stat(partialPath + "/" + BackupDirectory.file, &there) == 0 else {
            return false
        }
        return here.st_dev == there.st_dev && here.st_ino == there.st_ino
    }

    // MARK: Paths

    /// The names a path leads through, as bytes; slashes more than needed and `.` lead nowhere.
    private static func components(_ path: String) throws -> [[UInt8]] {
        let bytes = Array(path.utf8)
        let names = bytes.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
        guard bytes.first == UInt8(ascii: "/"), !bytes.contains(0), !names.contains(Array("..".utf8)) else {
            throw broken("must be an absolute path without '..'")
        }
        return names
    }

    private static func broken(_ rule: String) -> LedgerError { .invalidArgument(field: "directory", rule: rule) }

    /// Calls `body` with a name as the system takes it.
    private static func named<Result>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (name + [0]).withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                guard let base = characters.baseAddress else { preconditionFailure("a name is never empty") }
                return body(base)
            }
        }
    }

    private static func refusal(_ code: Int32, opening component: [UInt8], _ path: String) -> any Error {
        switch code {
        case ENOENT: broken("must lie in a directory that exists")
        case ELOOP, ENOTDIR: broken("must lead through directories alone, and through no symbolic link")
        default: SystemError("opening \(String(decoding: component, as: UTF8.self)) on the way to \(path)", errno: code)
        }
    }

    private static func requireEmptyOrMissing(_ name: [UInt8], in parent: Descriptor, _ path: String) throws {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let found = Descriptor(named(name) { openat(parent.number, $0, flags) })
        guard found.isOpen else {
            switch errno {
            case ENOENT: return
            case ELOOP, ENOTDIR: throw broken("must be empty or not exist yet")
            case ENAMETOOLONG: throw broken("must have a name the file system takes")
            default: throw SystemError("opening \(path)")
            }
        }
        guard try entries(of: found, path).isEmpty else { throw broken("must be empty or not exist yet") }
    }

    /// The names in a directory.
    private static func entries(of directory: Descriptor, _ path: String) throws -> [[UInt8]] {
        // It has a position of its own to read from.
        let copy = openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            let code = errno
            if copy >= 0 { close(copy) }
            throw SystemError("reading \(path)", errno: code)
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        errno = 0
        while let item = readdir(stream) {
            let name = withUnsafeBytes(of: item.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [UInt8(ascii: ".")], name != Array("..".utf8) { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw SystemError("reading \(path)") }
        return names
    }

    /// Removes what a killed daemon has left under a temporary name. One that somebody is still at is locked.
    private static func removeAbandoned(in parent: Descriptor) {
        for name in (try? entries(of: parent, "")) ?? [] {
            guard name.starts(with: prefix), name.suffix(suffix.count).elementsEqual(suffix) else { continue }
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let left = Descriptor(named(name) { openat(parent.number, $0, flags) })
            guard left.isOpen, flock(left.number, LOCK_EX | LOCK_NB) == 0 else { continue }
            for file in files { unlinkat(left.number, file, 0) }
            _ = named(name) { unlinkat(parent.number, $0, AT_REMOVEDIR) }
        }
    }
}

/// An open file, closed with its last reference.
final class Descriptor: Sendable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit {
        // Whoever makes one looks at the errno of the call that gave no number.
        if number >= 0 { close(number) }
    }

    var isOpen: Bool { number >= 0 }
}
