/// Why the ledger refused a call. Nothing was recorded.
public enum LedgerError: Error, Equatable, Sendable {
    /// The event at this place of the call breaks its type's rules.
    case invalidEvent(event: Int, field: String, rule: String)
    /// The event's request key was used before, at this index, for other content.
    case requestConflict(event: Int, index: UInt64)
    /// The event's request key was used for other content too often to be compared again before so many seconds.
    case throttled(event: Int, seconds: Int64)
    /// A parameter of a read is out of its range.
    case invalidArgument(field: String, rule: String)
    case notFound(what: String)
    /// What is to be kept is larger than the limit that is configured for it.
    case tooLarge(what: String, limit: Int)
    /// The queue is full; nothing was recorded and the same call may be sent again.
    case busy
    /// Disk or map are full; reads go on.
    case storeFull(reason: String)
    /// No time is taken from the clock until it is confirmed; reads go on.
    case clockUnconfirmed(reason: String)
    /// The daemon is stopping.
    case stopping
    /// The claims' key is gone; they can't be opened any more.
    ///
    /// `erasure` is the entry by which they were, where the store knows which.
    case erasedClaims(index: UInt64, erasure: UInt64?)
    /// What the store says of itself, which the entry would have to rely on, is contradicted by its entries.
    case damaged(index: UInt64?, what: String)

    /// What it says in the log: streams, and so people, are not named.
    var forLog: String {
        guard case .damaged(let index, _) = self else { return "\(self)" }
        return index.map { "the store is damaged at entry \($0)" } ?? "the store is damaged"
    }
}

/// Why a ledger can't be opened or created. `advice` says what the operator can do.
public struct StartupRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case alreadyExists, noLedger, inUse, lockMissing, lockDamaged, olderThanLock, otherRoot, keyMismatch, moved
        case damaged, badKeyring, keyringMissing, badOrigin, badClock
        /// The key tree is not there, not what was written, or not the one the store names.
        case keysMissing, keysDamaged, keysOther
        /// The key tree is from before an erasure that the store knows of.
        case keysOlder
        /// The key in force, which must sign a recovery, is not in the keyring.
        case notInForce
        /// The directory of the look-up index holds something else.
        case otherIndex
        /// Parts of the ledger would lie in one another.
        case samePlace
        /// The lock can't be read, and nothing is said of checkpoints that others keep.
        case checkpointMissing
        /// A checkpoint that others keep was not signed by this ledger.
        case checkpointInvalid
        /// The store has fewer entries than a checkpoint that others keep.
        case olderThanCheckpoint
        /// There is no room for what is to be made.
        case noRoom
        /// A creation was cut off once its first checkpoint was signed, and can only be gone on with.
        case unfinished
    }

    public let code: Code
    public let reason: String
    public let advice: String

    public init(_ code: Code, _ reason: String, advice: String) {
        self.code = code
        self.reason = reason
        self.advice = advice
    }

    public var description: String { "\(reason). \(advice)" }
}
