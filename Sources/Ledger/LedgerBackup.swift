import Files
import Glibc
import LMDB
public import Merkle
import OpenSSL
import Synchronization

/// What a backup holds.
public struct BackupReport: Sendable {
    public let size: UInt64
    public let root: Digest
    public let bytes: Int
}

extension Ledger {
    /// Writes a consistent copy of the store while it is in use. The copy is checked before it gets its name: the
    /// directory appears whole or not at all, and a backup that fails leaves nothing behind.
    ///
    /// - Parameters:
    ///   - directory: absolute path that must be empty or not exist; its parent must.
    ///   - root: the directory it must lie below, without symbolic links between; nil for anywhere.
    /// - Throws: `LedgerError.invalidArgument` for a path that breaks these rules, `LedgerError.stopping` where
    ///   `abandonBackups` came first, `.busy` where the store outgrew its map meanwhile; `SystemError` and `LMDBError` where the copy can't be written.
    public func backup(to directory: String, below root: String? = nil) throws -> BackupReport {
        try backup(to: directory, below: root) { _ in }
    }

    /// - Parameter copied: takes the descriptor of the copy before it is checked.
    func backup(to directory: String, below root: String?, copied: (Int32) throws -> Void) throws -> BackupReport {
        let target = try BackupDirectory(directory, below: root)
        try backups.add(target)
        defer {
            target.remove()
            backups.drop(target)
        }
        try growBeforeCopy()
        do {
            try environment.copy(to: target.data.number)
        } catch is CopyInterrupted {
            throw LedgerError.busy
        }
        try copied(target.data.number)
        let (size, root) = try Ledger.inspect(target)
        // An older root of this store must be what the copy has, or the copy is not of this history.
        guard size > 0, try environment.read({ try schema.root($0, size: size) }) == root else {
            throw StoreDamage(nil, "the copy has another root than the store")
        }
        var status = stat()
        fstat(target.data.number, &status)
        try target.finish()
        return BackupReport(size: size, root: root, bytes: Int(status.st_size))
    }

    /// Removes what backups under way have written, for a process that is about to end; they fail, and so does any
    /// that begins later.
    public func abandonBackups() { backups.abandon() }

    /// Gives the map room for what may come while the copy is made: were it to grow, it would break the copy off.
    private func growBeforeCopy() throws {
        let sizes = environment.sizes
        guard sizes.map - sizes.used < sizes.used / 2, sizes.map < settings.maximumMapBytes else { return }
        try environment.resizeMapUnlessCopying(bytes: min(sizes.map * 2, settings.maximumMapBytes))
    }

    private static func inspect(_ target: BackupDirectory) throws -> (UInt64, Digest) {
        let (environment, schema) = try StoreSchema.open(
            directory: target.partialPath,
            mapBytes: 1 << 20,
            readers: 4,
            create: false,
            access: .copy
        )
        guard target.isInPlace else { throw LedgerError.stopping }
        return try environment.read { transaction in
            let size = try schema.size(transaction)
            return (size, try schema.root(transaction, size: size))
        }
    }
}

/// The backups under way.
final class RunningBackups: Sendable {
    private struct State {
        var running: [BackupDirectory] = []
        var isAbandoned = false
    }

    private let state = Mutex(State())

    func add(_ backup: BackupDirectory) throws {
        try state.withLock { state in
            guard !state.isAbandoned else {
                backup.remove()
                throw LedgerError.stopping
            }
            state.running.append(backup)
        }
    }

    func drop(_ backup: BackupDirectory) {
        state.withLock { $0.running.removeAll { $0 === backup } }
    }

    func abandon() {
        state.withLock { state in
            state.isAbandoned = true
            for backup in state.running { backup.remove() }
        }
    }
}
