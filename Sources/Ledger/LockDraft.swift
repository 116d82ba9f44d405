import Files
import Glibc

/// The new file of a checkpoint lock, under a passing name beside the lock's until it takes its place. One that does not
/// is removed.
final class LockDraft {
    private(set) var file: OpenFile
    private var isPlaced = false

    /// Makes the file, empty, and holds it.
    ///
    /// - Parameters:
    ///   - target: where the lock stands, or will; no symbolic link.
    ///   - store: of the ledger the lock belongs to.
    ///   - lock: the lock in force, which the caller holds; nil where there is none.
    /// - Throws: `StartupRefusal` where something else has the name; `SystemError`. Nothing was written then.
    init(beside target: String, store: StoreHold, lock: OpenFile?) throws {
        let path = target + FileSystem.nextSuffix
        try LockDraft.clear(beside: target, store: store, lock: lock)
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("creating \(path)") }
        do {
            try FileSystem.hold(descriptor, path, "the checkpoint lock")
            file = try OpenFile(descriptor, path: path)
        } catch {
            unlink(path)
            close(descriptor)
            throw error
        }
    }

    deinit {
        guard !isPlaced else { return }
        unlink(file.path)
        close(file.descriptor)
    }

    /// Writes the whole file, durably but for its name.
    func write(_ bytes: [UInt8]) throws {
        try FileSystem.write(bytes, to: file.descriptor, at: 0, name: file.path)
        guard fsync(file.descriptor) == 0 else { throw SystemError("syncing \(file.path)") }
    }

    /// Notes that the file has the lock's name. Whoever asks closes it.
    func placed(as path: String) -> OpenFile {
        isPlaced = true
        return file.renamed(path)
    }

    /// Removes what a process that ended while it made a lock left under the passing name. Whatever else has that name is
    /// left alone: it may be another ledger's lock, or its keyring.
    ///
    /// - Parameters: as of `init`.
    /// - Throws: `StartupRefusal` where something else has the name; `SystemError`.
    static func clear(beside target: String, store: StoreHold, lock: OpenFile?) throws {
        let path = target + FileSystem.nextSuffix
        let descriptor = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        defer { close(descriptor) }
        let found = try OpenFile(descriptor, path: path)
        // Where a name was given by a link, the lock in force may have both.
        if lock.map({ !$0.isSame(as: found) }) ?? true {
            try FileSystem.hold(descriptor, path, "the file")
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError("looking at \(path)") }
            let isLeft =
                try status.st_mode & S_IFMT == S_IFREG && isLeft(CheckpointLock.content(descriptor, path), store)
            guard isLeft else {
                throw StartupRefusal(
                    .alreadyExists,
                    "\(path) is no lock of this ledger, and a new one is made under that name",
                    advice: "Move it away, or choose another path for the checkpoint lock"
                )
            }
        }
        guard try found.isInPlace() else { return }
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("removing \(path)") }
    }

    /// Whether it is a file of a lock, whole or cut off, and names no store but this one.
    private static func isLeft(_ bytes: [UInt8], _ store: StoreHold) -> Bool {
        let size = LockRecord.slotBytes
        guard bytes.count <= 2 * size else { return false }
        let slots = [bytes.prefix(size), bytes.dropFirst(size)]
        guard slots.allSatisfy({ LockRecord.mayBegin($0) }) else { return false }
        return slots.compactMap { LockRecord(slot: Array($0)) }.allSatisfy { $0.places.store.mayBe(store.file.place) }
    }
}
