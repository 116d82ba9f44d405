import Files
import Glibc
public import Ledger
public import LedgerFormat
import OpenSSL
import Synchronization

/// Where documents in custody lie: a file each, encrypted (`ledger-format.md` section 10, "Objects").
///
/// `incoming/ID.part` is being received. `incoming/ID.age` is whole and durable, and its event may be recorded or not.
/// `XX/ID.age`, where XX are the last two digits of the id, is in custody.
public final class ObjectDirectory: ScopeCustody {
    /// As much of a file's beginning as is overwritten before it is removed: its header, with the wrapped key, and more.
    private static let wipedBytes = 1 << 16
    private static let incoming = "incoming"

    let path: String
    /// Who is at an object's file, to be told that it is erased.
    private let uses = Mutex<[ID128: [ObjectUse]]>([:])

    /// Makes the directory where it is missing.
    ///
    /// - Throws: `SystemError`.
    public init(path: String) throws {
        self.path = path
        try FileSystem.makeDirectory(path + "/" + ObjectDirectory.incoming)
    }

    // MARK: Names

    private func folder(of object: ID128) -> String {
        path + "/" + String(Substring(object.description.utf8.suffix(2)))
    }

    /// The file of a document in custody.
    func file(of object: ID128) -> String { "\(folder(of: object))/\(object).age" }
    /// A file that is whole, whose event may not be recorded.
    func arrived(_ object: ID128) -> String { "\(path)/\(ObjectDirectory.incoming)/\(object).age" }
    /// A file that is being received.
    func arriving(_ object: ID128) -> String { "\(path)/\(ObjectDirectory.incoming)/\(object).part" }

    // MARK: Receiving

    /// Makes the file a document is received into; what a deposit that was cut off left of it is destroyed.
    ///
    /// - Returns: a descriptor, which the caller closes.
    func create(_ object: ID128) throws -> Int32 {
        let path = arriving(object)
        try destroyFile(path)
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("creating a file of a document") }
        return descriptor
    }

    /// Has a file that was received, and is durable, wait for its event.
    func complete(_ object: ID128) throws {
        guard rename(arriving(object), arrived(object)) == 0 else { throw SystemError("renaming a file of a document") }
        try FileSystem.syncDirectory(path + "/" + ObjectDirectory.incoming)
    }

    /// Takes a file into custody whose event is recorded.
    ///
    /// - Parameter use: whose file it is; where the object was erased meanwhile, nothing is left to be placed.
    func place(_ object: ID128, for use: ObjectUse? = nil) throws {
        let folder = folder(of: object)
        if mkdir(folder, 0o700) == 0 {
            try FileSystem.syncDirectory(path)
        } else if errno != EEXIST {
            throw SystemError("creating a directory of documents")
        }
        guard rename(arrived(object), file(of: object)) == 0 else {
            if errno == ENOENT, use?.wasErased == true { return }
            throw SystemError("renaming a file of a document")
        }
        // The new name first: a crash in between leaves the file under both or under the old one, never under none.
        try FileSystem.syncDirectory(folder)
        try FileSystem.syncDirectory(path + "/" + ObjectDirectory.incoming)
    }

    /// Whether a whole file waits, and none is in custody.
    func isWaiting(_ object: ID128) -> Bool {
        !FileSystem.isTaken(file(of: object)) && FileSystem.isTaken(arrived(object))
    }

    /// Destroys what was received of a document that is not taken into custody.
    func discard(_ object: ID128) throws {
        try destroyFile(arriving(object))
        try destroyFile(arrived(object))
    }

    /// The documents of which something lies among what was received, and whether it is whole.
    func received() throws -> [(object: ID128, isWhole: Bool)] {
        let folder = path + "/" + ObjectDirectory.incoming
        guard let stream = opendir(folder) else { throw SystemError("reading \(folder)") }
        defer { closedir(stream) }
        var found: [(object: ID128, isWhole: Bool)] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            let parts = name.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let object = ID128(digits: Array(parts[0]).span) else { continue }
            if parts[1].elementsEqual("age".utf8) { found.append((object, true)) }
            if parts[1].elementsEqual("part".utf8) { found.append((object, false)) }
            errno = 0
        }
        guard errno == 0 else { throw SystemError("reading \(folder)") }
        return found
    }

    /// Bytes of the disk that others than root may still take.
    func freeBytes() throws -> UInt64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw SystemError("looking at \(path)") }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    // MARK: Erasing

    /// Notes that somebody reads or writes an object's file.
    func begin(_ use: ObjectUse) { uses.withLock { $0[use.object, default: []].append(use) } }

    /// Notes that it is done.
    func end(_ use: ObjectUse) {
        uses.withLock { uses in
            uses[use.object]?.removeAll { $0 === use }
            if uses[use.object]?.isEmpty == true { uses[use.object] = nil }
        }
    }

    /// Destroys the files of objects among the scopes. Who is at one of them gives out nothing more of it.
    public func destroy(_ scopes: [StreamID]) throws {
        for scope in scopes where scope.kind == .object {
            for use in uses.withLock({ $0[scope.id] ?? [] }) {
                use.isErased.store(true, ordering: .sequentiallyConsistent)
            }
            // In this order: what is taken into custody meanwhile is found in one place or the other.
            try discard(scope.id)
            try destroyFile(file(of: scope.id))
        }
    }

    /// Overwrites the beginning of a file, which alone says by which key the rest is encrypted, empties it and removes it;
    /// each durably. A file that is not there is none to destroy.
    ///
    /// What follows is not overwritten: it says nothing to anybody without the key, and who erases would keep everybody else
    /// waiting as long as that took.
    private func destroyFile(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw SystemError("opening a file of a document") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemError("looking at a file of a document") }
        let count = min(Int(status.st_size), ObjectDirectory.wipedBytes)
        if count > 0 {
            try FileSystem.write(
                [UInt8](repeating: 0, count: count),
                to: descriptor,
                at: 0,
                name: "a file of a document"
            )
            guard fdatasync(descriptor) == 0 else { throw SystemError("syncing a file of a document") }
        }
        guard ftruncate(descriptor, 0) == 0, fsync(descriptor) == 0 else {
            throw SystemError("emptying a file of a document")
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("removing a file of a document") }
        try FileSystem.syncDirectory(FileSystem.parent(of: path))
    }
}

/// Somebody's reading or writing of an object's file.
final class ObjectUse: Sendable {
    let object: ID128
    /// Whether the object was erased meanwhile.
    let isErased = Atomic<Bool>(false)

    init(_ object: ID128) { self.object = object }

    var wasErased: Bool { isErased.load(ordering: .sequentiallyConsistent) }

    /// - Throws: `LedgerError.erasedClaims` where the object was erased.
    func requireKept(deposit: UInt64) throws {
        guard !wasErased else {
            throw LedgerError.erasedClaims(index: deposit, erasure: nil)
        }
    }
}
