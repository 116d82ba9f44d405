import Ledger
public import Paths

extension Configuration {
    /// Whether the keyring is one that the service manager handed out.
    public func isKeyringCredential(environment: [String: String]) -> Bool {
        environment["CREDENTIALS_DIRECTORY"].map { FilePath(keyring).isBelow(FilePath($0)) } ?? false
    }

    /// Who else than the service may get at what the ledger lies in, a sentence each.
    ///
    /// - Parameters:
    ///   - file: that the configuration was read from; nil not to look at it.
    ///   - environment: of the process.
    public func exposures(file: FilePath? = nil, environment: [String: String]) -> [String] {
        var exposure = Exposure(store: store)
        exposure.directory(store, key: "store", isPrivate: true)
        exposure.file(store + "/data.mdb", key: "store")
        exposure.directory(Exposure.directory(of: checkpointLock), key: "checkpoint-lock", isPrivate: true)
        exposure.file(checkpointLock, key: "checkpoint-lock")
        exposure.directory(keys, key: "keys", isPrivate: true)
        for name in ["root.key", "data.mdb"] { exposure.file(keys + "/" + name, key: "keys", isSecret: true) }
        exposure.directory(index, key: "index", isPrivate: false)
        exposure.file(keyring, key: "keyring", isSecret: !isKeyringCredential(environment: environment))
        exposure.directory(Exposure.directory(of: socket), key: "socket", isPrivate: false)
        if let objects { exposure.directory(objects, key: "objects", isPrivate: true) }
        if let backupRoot { exposure.directory(backupRoot, key: "backup-root", isPrivate: false) }
        if let path = file.flatMap({ String(validating: $0.bytes, as: UTF8.self) }) {
            exposure.file(path, key: "configuration")
        }
        return exposure.warnings
    }
}
