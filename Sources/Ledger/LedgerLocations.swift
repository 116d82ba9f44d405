import Files

/// Where a ledger's parts lie. The lock belongs on another path than the store, so that a backup restored over the
/// store can't take it back too.
public struct LedgerLocations: Sendable {
    /// Directory of the LMDB environment with entries, tree, streams and sealed claims.
    public let store: String
    /// Directory of the LMDB environment with look-ups that can be rebuilt.
    public let index: String
    /// Directory of the key tree, with `root.key`.
    public let keys: String
    /// File of the checkpoint lock.
    public let lock: String

    /// Paths, absolute or relative to the process; see the fields.
    public init(store: String, index: String, keys: String, lock: String) {
        self.store = store
        self.index = index
        self.keys = keys
        self.lock = lock
    }

    /// What is correct and yet not as it should be; a sentence each.
    public var warnings: [String] {
        guard let storeDevice = FileSystem.device(near: store), let lockDevice = FileSystem.device(near: lock),
            storeDevice == lockDevice
        else { return [] }
        return [
            "checkpoint-lock and store lie on one file system: who takes that back to a snapshot takes both back, and "
                + "nothing is left that knows what was signed since"
        ]
    }
}
