import LedgerFormat
import Merkle

/// Everything the next entry depends on: the chain's end, the tree's right edge, the time. A value, so that a call
/// that fails half-way is undone by forgetting the copy.
struct ChainState: Sendable {
    var range = CompactRange()
    /// Leaf hash of the last entry.
    var previous = Digest.zero
    var time = LedgerTime(microseconds: 0)
    /// Lengths of streams that were looked at lately.
    var lengths: [StreamID: UInt64] = [:]

    var size: UInt64 { range.size }

    /// The time of the next entry: the clock's, or one microsecond after the last entry where the clock is not past it.
    func nextTime(_ now: Int64) -> LedgerTime {
        LedgerTime(microseconds: max(now, time.microseconds + 1))
    }
}
