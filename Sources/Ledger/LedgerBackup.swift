import Glibc
import LMDB
public import Merkle
import OpenSSL

/// What a backup holds.
public struct BackupReport: Sendable {
    public let size: UInt64
    public let root: Digest
    public let bytes: Int
}

extension Ledger {
    /// Writes a consistent copy of the store while it is in use. The copy is checked before it gets its name: the
    /// directory appears whole or not at all.
    ///
    /// - Parameter directory: absolute path that must be empty or not exist; its parent must.
    public func backup(to directory: String) throws -> BackupReport {
        guard directory.hasPrefix("/"), !directory.split(separator: "/").contains("..") else {
            throw LedgerError.invalidArgument(field: "directory", rule: "must be an absolute path without '..'")
        }
        guard FileSystem.isEmptyOrMissing(directory) else {
            throw LedgerError.invalidArgument(field: "directory", rule: "must be empty or not exist yet")
        }
        let partial = directory + ".partial"
        let file = partial + "/data.mdb"
        unlink(file)
        rmdir(partial)
        guard mkdir(partial, 0o700) == 0 else { throw SystemError("creating \(partial)") }
        let descriptor = Glibc.open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("creating \(file)") }
        defer { close(descriptor) }
        try growBeforeCopy()
        try environment.copy(to: descriptor)
        guard fsync(descriptor) == 0 else { throw SystemError("syncing \(file)") }
        let (size, root) = try Ledger.inspect(partial)
        // An older root of this store must be what the copy has, or the copy is not of this history.
        guard size > 0, try environment.read({ try schema.root($0, size: size) }) == root else {
            throw StoreDamage(nil, "the copy has another root than the store")
        }
        var status = stat()
        fstat(descriptor, &status)
        try FileSystem.syncDirectory(partial)
        guard rename(partial, directory) == 0 else { throw SystemError("naming \(directory)") }
        try FileSystem.syncDirectory(FileSystem.parent(of: directory))
        return BackupReport(size: size, root: root, bytes: Int(status.st_size))
    }

    /// Gives the map room for what may come while the copy is made: it cannot grow meanwhile.
    private func growBeforeCopy() throws {
        let sizes = environment.sizes
        guard sizes.map - sizes.used < sizes.used / 2, sizes.map < settings.maximumMapBytes else { return }
        try environment.resizeMap(bytes: min(sizes.map * 2, settings.maximumMapBytes))
    }

    private static func inspect(_ directory: String) throws -> (UInt64, Digest) {
        let (environment, schema) = try StoreSchema.open(
            directory: directory,
            mapBytes: 1 << 20,
            readers: 4,
            create: false,
            readOnly: true
        )
        defer {
            unlink(directory + "/lock.mdb")
        }
        return try environment.read { transaction in
            let size = try schema.size(transaction)
            return (size, try schema.root(transaction, size: size))
        }
    }
}
