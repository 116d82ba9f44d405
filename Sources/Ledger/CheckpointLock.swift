import Files
import Glibc
import LedgerFormat
import Merkle

/// A small preallocated file that remembers the last signed checkpoint (`ledger-format.md` section 8).
///
/// It has two slots of 4,096 bytes. A write goes to the slot that does not hold the newest record and is synced, so
/// a torn write leaves the record before it. The file is locked (flock) while a daemon runs.
final class CheckpointLock {
    private let path: String
    private let store: StoreHold
    /// The file this process holds.
    private(set) var file: OpenFile
    /// The newest record, as this process read or wrote it last.
    private(set) var record: LockRecord
    /// The whole file, as this process read or wrote it last.
    private var bytes: [UInt8]

    /// Creates the file with its first record, whole or not at all; one that exists is refused. Where the path is a
    /// symbolic link that leads nowhere yet, it is what that leads to.
    ///
    /// - Parameters:
    ///   - record: makes the record out of where lock and store lie.
    ///   - placed: called once the file has its name, durably or not.
    /// - Throws: `StartupRefusal` where something else has the passing name; `SystemError`.
    static func create(
        path: String,
        store: StoreHold,
        placed: () -> Void = {},
        record: (LockRecord.Places) throws -> LockRecord
    ) throws {
        let target = try FileSystem.target(of: path)
        let draft = try LockDraft(beside: target, store: store, lock: nil)
        let places = LockRecord.Places(lock: draft.file.place, store: store.file.place)
        try draft.write(CheckpointLock.bytes([record(places)]))
        guard FileSystem.renameNew(draft.file.path, target) else {
            guard errno == EEXIST else { throw SystemError("creating \(target)") }
            throw StartupRefusal(
                .alreadyExists,
                "\(target) exists",
                advice: "It came while the ledger was being made. Choose another path, or move it away"
            )
        }
        close(draft.placed(as: target).descriptor)
        placed()
        try FileSystem.syncDirectory(FileSystem.parent(of: target))
    }

    /// Puts a file with its first record in the place of an old lock, or of none, by one rename: there is never a moment
    /// without a lock. What was there stays under another name: a copy of it, or itself, where it can be none.
    ///
    /// - Parameters:
    ///   - lock: the old one, which the caller holds; nil where it can't be read.
    ///   - path: where it stands; no symbolic link.
    ///   - suffix: what the other name has more; a number more where that is taken.
    ///   - record: makes the record out of where lock and store lie.
    /// - Throws: `StartupRefusal` where something else has the passing name; `SystemError`.
    static func replace(
        _ lock: CheckpointLock?,
        path: String,
        keeping suffix: String,
        store: StoreHold,
        record: (LockRecord.Places) throws -> LockRecord
    ) throws {
        let draft = try LockDraft(beside: path, store: store, lock: lock?.file)
        let places = LockRecord.Places(lock: draft.file.place, store: store.file.place)
        try draft.write(CheckpointLock.bytes([record(places)]))
        if let bytes = try whole(path) {
            try FileSystem.copyAside(bytes, path, suffix: suffix)
        } else {
            try FileSystem.moveAside(path, suffix: suffix)
        }
        guard rename(draft.file.path, path) == 0 else { throw SystemError("renaming \(draft.file.path)") }
        close(draft.placed(as: path).descriptor)
        try FileSystem.syncDirectory(FileSystem.parent(of: path))
    }

    /// The bytes of a file as long as a lock is; nil where there is none, or the disk can't read it.
    private static func whole(_ path: String) throws -> [UInt8]? {
        guard FileSystem.size(of: path) == 2 * LockRecord.slotBytes else { return nil }
        do {
            return try FileSystem.read(path, limit: 2 * LockRecord.slotBytes)
        } catch let error as SystemError where unreadable.contains(error.errno) {
            return nil
        }
    }

    /// The bytes of a file with these records, one or two that follow one another.
    private static func bytes(_ records: [LockRecord]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2 * LockRecord.slotBytes)
        for record in records {
            let offset = offset(of: record.sequence)
            bytes.replaceSubrange(offset..<offset + LockRecord.slotBytes, with: record.slot)
        }
        return bytes
    }

    /// Where the record of a sequence stands, so that the next one never takes its place.
    private static func offset(of sequence: UInt64) -> Int { Int(sequence % 2) * LockRecord.slotBytes }

    /// Opens and locks the file.
    ///
    /// - Parameter store: of the ledger the lock belongs to.
    /// - Throws: `StartupRefusal` where it is missing, held by another process or damaged.
    init(path: String, store: StoreHold) throws {
        let file = try CheckpointLock.open(path)
        do {
            bytes = try CheckpointLock.content(file.descriptor, path)
            guard let record = CheckpointLock.newest(bytes) else {
                throw StartupRefusal(
                    .lockDamaged,
                    "the checkpoint lock \(path) holds no intact record",
                    advice: "Run 'evidence audit' and then 'evidence recover', which starts a new incarnation"
                )
            }
            self.record = record
        } catch {
            close(file.descriptor)
            throw error
        }
        self.file = file
        self.path = path
        self.store = store
    }

    deinit { close(file.descriptor) }

    /// What a disk or file system says that can't read what it holds, or finds it damaged.
    private static let unreadable: Set<Int32> = [EIO, EUCLEAN, EBADMSG, ENODATA, EREMOTEIO]

    /// What a recovery has where opening the lock failed: none, where it is missing, holds no record, or can't be read.
    ///
    /// - Throws: any other error, such as that somebody holds the lock.
    static func none(_ error: any Error) throws -> CheckpointLock? {
        switch error {
        case let refusal as StartupRefusal where refusal.code != .inUse: nil
        case let error as SystemError where unreadable.contains(error.errno): nil
        default: throw error
        }
    }

    /// Opens and locks what is at the path, and still is once it is locked.
    private static func open(_ path: String) throws -> OpenFile {
        while true {
            let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
            if descriptor < 0, errno == ENOENT {
                throw StartupRefusal(
                    .lockMissing,
                    "the checkpoint lock \(path) is missing",
                    advice: """
                        Without it nobody can tell whether this store is the newest. If it was only moved, put it \
                        back. If it is lost, or the store comes from a backup, run 'evidence recover', which starts a \
                        new incarnation that is visible in the log
                        """
                )
            }
            guard descriptor >= 0 else { throw SystemError("opening \(path)") }
            do {
                try FileSystem.hold(descriptor, path, "the checkpoint lock")
                let file = try OpenFile(descriptor, path: path)
                // Who held it until now may have put a new file in its place.
                if try file.isInPlace() { return file }
            } catch {
                close(descriptor)
                throw error
            }
            close(descriptor)
        }
    }

    /// The newest intact record, read beside whoever holds the lock; nil where there is none.
    static func peek(_ path: String) throws -> LockRecord? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        defer { close(descriptor) }
        return newest(try content(descriptor, path))
    }

    /// Where lock and store lie, for the next record.
    var places: LockRecord.Places { LockRecord.Places(lock: file.place, store: store.file.place) }

    /// A record as it stands in the file.
    struct Slot: Sendable {
        let record: LockRecord
        let bytes: [UInt8]

        init(_ record: LockRecord) {
            self.record = record
            bytes = record.slot
        }
    }

    /// Refuses a lock behind whose record none can come.
    ///
    /// - Throws: `StartupRefusal` `.lockDamaged`.
    func requireFollowing() throws {
        guard record.following == nil else { return }
        throw StartupRefusal(
            .lockDamaged,
            "the checkpoint lock \(path) has counted as far as it can, which no ledger lives to",
            advice: """
                Find out where it comes from, and put this ledger's own lock back. If there is none, run 'evidence \
                audit' and then 'evidence recover --reason lock-damaged', which starts a new incarnation
                """
        )
    }

    /// Refuses to go on where lock or store are elsewhere: whoever starts now would find another file, and go on beside
    /// this process.
    ///
    /// - Throws: `LockConflict`; `SystemError` where it can't be told.
    func requireInPlace() throws {
        for file in [file, store.file] {
            guard try file.isInPlace() else { throw LockConflict(path: file.path, "removed or replaced") }
        }
    }

    /// Replaces the record if the file still holds the one this process knows and is still in its place, as the store's
    /// is, and syncs.
    ///
    /// - Parameter slot: of the record that follows `record` in sequence.
    /// - Throws: `LockConflict` where the file holds another record, or lock or store are elsewhere; any error leaves the
    ///   process unfit to sign.
    func compareAndSwap(_ slot: Slot) throws {
        precondition(slot.record.sequence == record.following, "records follow one another")
        try requireInPlace()
        // Any other byte means another writer, so the slots need not be understood again.
        guard try CheckpointLock.content(file.descriptor, path) == bytes else {
            throw LockConflict(path: path, "changed by someone else")
        }
        let offset = CheckpointLock.offset(of: slot.record.sequence)
        try FileSystem.write(slot.bytes, to: file.descriptor, at: offset, name: path)
        guard fdatasync(file.descriptor) == 0 else { throw SystemError("syncing \(path)") }
        record = slot.record
        bytes.replaceSubrange(offset..<offset + LockRecord.slotBytes, with: slot.bytes)
    }

    /// What a file system may refuse that doesn't let a file be renamed: no sign of a fault.
    private static let refusals: Set<Int32> = [
        ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EBUSY, EEXIST, EISDIR, EXDEV, ENAMETOOLONG, ENOMEM,
    ]

    /// Puts a new file with the same records in the place of this one, so that a copy of the old one that is written back
    /// over the new one names another place than it has.
    ///
    /// - Returns: why there is no such file, and the old one goes on being used; nil where there is.
    /// - Throws: `LockConflict` where lock or store are elsewhere, so that no other file is replaced; where a write or
    ///   sync failed, but for want of room.
    func renew() throws -> (any Error)? {
        let target: String
        let directory: Int32
        let draft: LockDraft
        do {
            try requireInPlace()
            // Where the path is a symbolic link, it stays one.
            target = try FileSystem.target(of: path)
            // Opened before there is anything in it to sync.
            directory = try FileSystem.openDirectory(FileSystem.parent(of: target))
        } catch {
            return try CheckpointLock.unlessConflict(error)
        }
        defer { close(directory) }
        let bytes: [UInt8]
        do {
            draft = try LockDraft(beside: target, store: store, lock: file)
            let places = LockRecord.Places(lock: draft.file.place, store: store.file.place)
            bytes = CheckpointLock.bytes(CheckpointLock.records(self.bytes).map { $0.moved(to: places) })
        } catch {
            return error
        }
        do {
            try draft.write(bytes)
        } catch let error as SystemError where error.isOutOfRoom {
            return error
        }
        do {
            try requireInPlace()
        } catch {
            return try CheckpointLock.unlessConflict(error)
        }
        guard rename(draft.file.path, target) == 0 else {
            let error = SystemError("renaming \(draft.file.path)")
            try requireInPlace()
            if CheckpointLock.refusals.contains(error.errno) { return error }
            throw error
        }
        close(file.descriptor)
        file = draft.placed(as: path)
        record = record.moved(to: places)
        self.bytes = bytes
        try FileSystem.syncDirectory(directory, FileSystem.parent(of: target))
        return nil
    }

    /// An error that only keeps the lock from being renewed. Of another lock or store it is more.
    private static func unlessConflict(_ error: any Error) throws -> any Error {
        if error is LockConflict { throw error }
        return error
    }

    /// The file's bytes; one too many where it is longer than a lock is.
    static func content(_ descriptor: Int32, _ path: String) throws -> [UInt8] {
        try FileSystem.read(descriptor, at: 0, count: 2 * LockRecord.slotBytes + 1, name: path)
    }

    /// The newest record of a whole file; nil where no slot is intact.
    static func newest(_ bytes: [UInt8]) -> LockRecord? {
        guard bytes.count == 2 * LockRecord.slotBytes else { return nil }
        return records(bytes).max { $0.sequence < $1.sequence }
    }

    /// Those of the intact slots.
    private static func records(_ bytes: [UInt8]) -> [LockRecord] {
        [bytes.prefix(LockRecord.slotBytes), bytes.suffix(LockRecord.slotBytes)].compactMap {
            LockRecord(slot: Array($0))
        }
    }
}

/// Lock or store changed under a running daemon: someone else may sign. This process must stop.
struct LockConflict: Error, CustomStringConvertible {
    let path: String
    let what: String

    init(path: String, _ what: String) {
        self.path = path
        self.what = what
    }

    var description: String { "\(path) was \(what)" }
}
