import Files
import Glibc
import Keys
import LMDB
import OpenSSL

/// What creating a ledger has made so far, so that a creation that fails or is interrupted leaves nothing behind, and one
/// that was killed is in nobody's way.
///
/// The store is made in a directory within its own, and gets its name last, once the lock is in place. Until the lock is,
/// nothing was signed, and everything may be taken back; from then on nothing ever is: no second first entry is signed
/// under the same key, and the next creation goes on where this one ended.
struct CreationTrace {
    private static let partialName = "init.partial"
    private static let storeFiles = ["data.mdb", "lock.mdb"]
    private let store: String
    private let keys: String
    /// The file of the lock, which a symbolic link may lead to.
    let lock: String
    private var directories: [String] = []
    private var files: [String] = []
    private var hold: DirectoryHold?
    private var isPartialMade = false
    private var isSigned = false

    /// - Throws: `SystemError` where the lock's symbolic link can't be followed.
    init(_ locations: LedgerLocations) throws {
        store = locations.store
        keys = locations.keys
        lock = try FileSystem.target(of: locations.lock)
    }

    private var data: String { store + "/data.mdb" }
    /// The directory the store is made in.
    private var partial: String { store + "/" + CreationTrace.partialName }

    /// Makes the directories of store and lock, and holds them and another until the end: two creations that have one of
    /// them in common go one after the other.
    ///
    /// - Parameters:
    ///   - other: that of the keyring; nil for none.
    ///   - seconds: how long another creation is waited for.
    ///   - isInterrupted: ends the wait.
    /// - Throws: `StartupRefusal` `.inUse` where it takes longer; `SystemError`.
    mutating func begin(_ other: String?, waiting seconds: Int, isInterrupted: () -> Bool) throws {
        let deadline = LedgerClock.steadySeconds + Int64(seconds)
        let own = [store, keys, FileSystem.parent(of: lock)]
        for path in own where FileSystem.isTaken(path) && !FileSystem.exists(path) {
            throw SystemError("following \(path)", errno: ENOENT)
        }
        while hold == nil {
            for path in own { try FileSystem.makeDirectory(path) { directories.append($0) } }
            // Another creation that failed may have taken away what it had made.
            hold = try DirectoryHold(own, other, until: deadline, isInterrupted: isInterrupted)
        }
    }

    /// The keyring at a path, which is made where there is none.
    mutating func keyring(_ path: String) throws -> Keyring {
        if FileSystem.exists(path) { return try Keyring.load(path: path) }
        let keyring = try Keyring.create(path: path)
        files.append(try FileSystem.target(of: path))
        return keyring
    }

    /// Makes the key tree. One without keys that an earlier creation left, which was cut off, is taken.
    mutating func keyTree(_ keyring: Keyring, _ suite: CipherSuite) throws -> NamedTree {
        let new = KeyTree.files.map { keys + "/" + $0 }.filter { !FileSystem.isTaken($0) }
        files += new
        let id = try ClaimKeys.named { try KeyTree.create(in: keys, master: keyring.masterKey(), suite: suite) }
        return NamedTree(id: id, suite: suite)
    }

    /// A creation that was cut off behind the point from which nothing is taken back.
    struct Unfinished {
        /// Where its store lies now.
        let directory: String
        let lock: LockRecord
        let hold: StoreHold
    }

    /// What an earlier creation left that never ended, where it was signed; of another its remains are taken away.
    func unfinished() throws -> Unfinished? {
        guard FileSystem.isTaken(partial) else { return nil }
        let isNamed = FileSystem.isTaken(data)
        guard FileSystem.isTaken(lock) else {
            if !isNamed {
                try discardDraft()
                try discardPartial()
            }
            return nil
        }
        let directory = isNamed ? store : partial
        guard FileSystem.exists(directory + "/data.mdb"), let record = try CheckpointLock.peek(lock) else { return nil }
        do {
            let hold = try StoreHold(directory: directory)
            // A lock of another store tells nothing of this one.
            guard record.places.store.mayBe(hold.file.place) else { return nil }
            return Unfinished(directory: directory, lock: record, hold: hold)
        } catch let refusal as StartupRefusal where refusal.code == .inUse {
            // It was used since.
            return nil
        }
    }

    /// Refuses paths where something is.
    func requireFree() throws {
        for path in [data, lock] where FileSystem.isTaken(path) {
            throw StartupRefusal(
                .alreadyExists,
                "\(path) exists",
                advice: "A ledger is never overwritten. Choose other paths, or move what is there away"
            )
        }
    }

    /// Makes the directory the store is made in, and gives its path.
    mutating func makePartial() throws -> String {
        try FileSystem.makeDirectory(partial) { _ in isPartialMade = true }
        return partial
    }

    /// Has the store be found after a power cut by the lock that is going to be signed.
    func settlePartial() throws { try FileSystem.syncDirectory(partial) }

    /// Notes that the lock is in place, or was by an earlier creation: nothing is taken back any more.
    mutating func noteSigned() { isSigned = true }

    /// Gives the whole store its name, which nothing may have, and ends the creation.
    func end() throws {
        try FileSystem.syncDirectory(FileSystem.parent(of: lock))
        if FileSystem.isTaken(partial + "/data.mdb") {
            guard FileSystem.renameNew(partial + "/data.mdb", data) else { throw SystemError("naming \(data)") }
        }
        try FileSystem.syncDirectory(store)
        try remove(partial + "/lock.mdb")
        guard rmdir(partial) == 0 else { throw SystemError("removing \(partial)") }
        try FileSystem.syncDirectory(store)
    }

    /// Takes everything away that this creation made and nobody signed.
    func undo() {
        guard !isSigned else { return }
        for path in files { unlink(path) }
        if isPartialMade { try? discardPartial() }
        for path in directories.reversed() { rmdir(path) }
    }

    /// Removes what a creation that was cut off made of its lock, as long as the store is there that it names.
    private func discardDraft() throws {
        guard FileSystem.exists(partial + "/data.mdb") else { return }
        let hold = try StoreHold(directory: partial)
        try LockDraft.clear(beside: lock, store: hold, lock: nil)
    }

    private func discardPartial() throws {
        for name in CreationTrace.storeFiles { try remove(partial + "/" + name) }
        guard rmdir(partial) == 0 || errno == ENOENT else { throw SystemError("removing \(partial)") }
    }

    private func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("removing \(path)") }
    }

    /// In words what made a creation fail.
    func words(_ error: any Error) -> any Error {
        if isSigned, !(error is StartupRefusal) {
            return StartupRefusal(
                .unfinished,
                "the ledger's first checkpoint is signed, but its creation did not end: \(error)",
                advice:
                    "Nothing was taken back. Run 'evidence init' with the same origin again, which goes on from there"
            )
        }
        let isOutOfRoom =
            switch error {
            case let error as LMDBError: error.isOutOfRoom
            case let error as CommitError: error.cause.isOutOfRoom
            case let error as SystemError: error.isOutOfRoom
            default: false
            }
        guard isOutOfRoom else { return error }
        return StartupRefusal(
            .noRoom,
            "there is no room for the ledger at \(store) and \(lock)",
            advice: "Nothing was left behind. Make room, then run 'evidence init' again"
        )
    }
}
