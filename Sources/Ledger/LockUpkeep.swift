/// When a running daemon renews its checkpoint lock: as it starts and stops, and now and then in between, so that a copy of
/// lock and store that is written back over them passes for them only where it was made a short while ago.
struct LockUpkeep {
    private let lock: CheckpointLock
    private let seconds: Int64
    private var renewedAt: Int64 = 0
    private var renewedSequence: UInt64 = 0

    /// - Parameter seconds: how long a lock that is written to stays the same file.
    init(_ lock: CheckpointLock, seconds: Int) {
        self.lock = lock
        self.seconds = Int64(seconds)
    }

    /// Renews the lock.
    ///
    /// - Returns: why it could not be, in words for the operator; nil where it was.
    /// - Throws: what `CheckpointLock.renew` throws.
    mutating func renew() throws -> String? {
        renewedAt = LedgerClock.steadySeconds
        renewedSequence = lock.record.sequence
        return try lock.renew().map {
            "the checkpoint lock could not be renewed, so that a copy written back over it passes for it: \($0)"
        }
    }

    /// The same where its time has come, for when the lock is about to be written to: what is answered then is in no
    /// older copy's file.
    mutating func renewBeforeCommit() throws -> String? { isDue ? try renew() : nil }

    /// The same where its time has come and the lock was written to since, for when nothing is to be written.
    mutating func renewWhileIdle() throws -> String? {
        isDue && lock.record.sequence != renewedSequence ? try renew() : nil
    }

    private var isDue: Bool { LedgerClock.steadySeconds - renewedAt >= seconds }
}
