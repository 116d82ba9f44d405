/// Where a ledger's parts lie. The lock belongs on another path than the store, so that a backup restored over the
/// store can't take it back too.
public struct LedgerLocations: Sendable {
    /// Directory of the LMDB environment with entries, tree, streams and sealed claims.
    public let store: String
    /// Directory of the LMDB environment with look-ups that can be rebuilt.
    public let index: String
    /// File of the checkpoint lock.
    public let lock: String

    public init(store: String, index: String, lock: String) {
        self.store = store
        self.index = index
        self.lock = lock
    }
}
