import LMDB

/// How a ledger runs; the limits a caller can meet have names here.
public struct LedgerSettings: Sendable {
    /// Sizes in bytes a map may be given: room for a small ledger, and what a data file may state.
    public static let mapSizes = 1 << 24...Environment.greatestMapBytes
    /// First size of the store's map in bytes; it grows by itself.
    public var mapBytes = 1 << 30
    /// Where the map stops growing; beyond it appends are refused and reads go on.
    public var maximumMapBytes = 16 << 40
    /// First size of the index's map in bytes.
    public var indexMapBytes = 1 << 30
    /// Read transactions open at once beside those the daemon keeps for itself: of audits, and of backups.
    public var readers = 126
    /// Those the daemon keeps for itself: its workers, writer and follower never wait for others to end theirs.
    let ownReaders = 12
    /// Events that may wait for the writer.
    public var queueEvents = 65_536
    /// Bytes of events that may wait for the writer.
    public var queueBytes = 64 << 20
    /// Events one commit takes.
    public var batchEvents = 8_192
    /// Bytes of events one commit takes.
    public var batchBytes = 4 << 20
    /// Entries the look-up index may be behind before the writer waits for it.
    public var tailEntries = 1 << 17
    /// Entries up to which the look-up index is checked whole before the start is done; of more, it is behind the start.
    var checkedEntries: UInt64 = 1 << 20
    /// Entries re-hashed at start.
    public var verifiedTail: UInt64 = 1_024
    /// How far ahead of the pages in use the data file has blocks, in bytes.
    public var preparedBytes = 32 << 20
    /// How much of that is written at once, while nobody waits for the writer.
    public var prewrittenBytes = 512 << 10
    /// Largest step forward, in seconds, that the wall clock may make while the ledger is open without being held for
    /// confirmation.
    public var clockStepSeconds = 3_600
    /// How many days after the newest entry the wall clock may be when the ledger opens without that.
    public var clockGapDays = 30
    /// After how many seconds a clock that is held and goes on evenly is believed; 0 for never.
    public var clockConfirmSeconds = 300

    /// After how many seconds a checkpoint lock that is written to gets a new file.
    var lockRenewalSeconds = 3_600
    /// After how many seconds without an event it is looked whether lock and store are still in their places.
    var idleCheckSeconds = 5

    public init() {}

    /// How far the wall clock is believed.
    var clockLimits: ClockPolicy.Limits {
        ClockPolicy.Limits(
            step: Int64(clockStepSeconds) * 1_000_000,
            gap: Int64(clockGapDays) * 86_400_000_000,
            confirmation: clockConfirmSeconds == 0 ? nil : Int64(clockConfirmSeconds) * 1_000_000
        )
    }
}
