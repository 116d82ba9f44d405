import Glibc
import LMDB

/// What creating a ledger has made so far, so that a creation that fails or is interrupted leaves nothing behind.
///
/// The store gets its name only when it is whole: until then it lies in a directory within its own, which stays until the
/// lock is there too. So the next creation knows one that a power cut or a kill ended, and takes its remains away.
struct CreationTrace {
    private static let partialName = "init.partial"
    private let locations: LedgerLocations
    private var directories: [String] = []
    private var files: [String] = []

    init(_ locations: LedgerLocations) { self.locations = locations }

    private var data: String { locations.store + "/data.mdb" }
    /// The directory the store is made in.
    private var partial: String { locations.store + "/" + CreationTrace.partialName }

    /// Takes away what an earlier creation left that never ended.
    ///
    /// - Parameter entries: counts those of a store; one that has more than its first was in use.
    func removeRemains(entries: (String) throws -> UInt64) throws {
        guard FileSystem.exists(partial) else { return }
        if FileSystem.exists(data) {
            guard try entries(locations.store) == 1 else { return }
            for path in [locations.lock, data, locations.store + "/lock.mdb"] { try remove(path) }
        }
        try removePartial()
    }

    /// Makes the directories of store and lock, and the one the store is made in.
    ///
    /// - Returns: the latter.
    mutating func makeDirectories() throws -> String {
        for path in [FileSystem.parent(of: locations.lock), partial] {
            try FileSystem.makeDirectory(path) { directories.append($0) }
        }
        return partial
    }

    /// Gives the whole store its name.
    mutating func publishStore() throws {
        guard rename(partial + "/data.mdb", data) == 0 else { throw SystemError("naming \(data)") }
        files.append(data)
        try FileSystem.syncDirectory(locations.store)
    }

    /// Notes that the lock is being made.
    mutating func willMakeLock() { files.append(locations.lock) }

    /// Ends the creation: from now on the ledger is there.
    func end() throws {
        try removePartial()
        try FileSystem.syncDirectory(locations.store)
    }

    /// Takes everything away that was made.
    func undo() {
        for path in files { unlink(path) }
        try? removePartial()
        for path in directories.reversed() { rmdir(path) }
    }

    private func removePartial() throws {
        for path in [partial + "/data.mdb", partial + "/lock.mdb"] { try remove(path) }
        guard rmdir(partial) == 0 || errno == ENOENT else { throw SystemError("removing \(partial)") }
    }

    private func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("removing \(path)") }
    }

    /// In words what made a creation fail.
    func words(_ error: any Error) -> any Error {
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
            "there is no room for the ledger at \(locations.store) and \(locations.lock)",
            advice: "Nothing was left behind. Make room, then run 'evidence init' again"
        )
    }
}
