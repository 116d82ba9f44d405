import LedgerFormat
import Merkle

/// Everything the next entry depends on: the chain's end, the tree's right edge, the time. A value, so that a call
/// that fails half-way is undone by forgetting the copy.
struct ChainState: Sendable {
    var range = CompactRange()
    /// Leaf hash of the last entry.
    var previous = Digest.zero
    var time = LedgerTime(microseconds: 0)

    var size: UInt64 { range.size }

    /// The time of the next entry: the clock's, or one microsecond after the last entry where the clock is not past it;
    /// nil where that is beyond the last year the format can write.
    func nextTime(_ now: Int64) -> LedgerTime? {
        let next = LedgerTime(microseconds: max(now, time.microseconds + 1))
        return next <= LedgerTime.maximum ? next : nil
    }
}

/// Lengths of streams that were looked at lately. It belongs to the writer thread; what a call changed is taken back
/// where the call is refused, so that no call copies it.
struct StreamLengths {
    private static let capacity = 65_536
    private var lengths: [StreamID: UInt64] = [:]
    /// What the call at hand changed, and what stood there before.
    private var changes: [(stream: StreamID, before: UInt64?)] = []

    /// The length of a stream, after which it is one more.
    ///
    /// - Parameter stored: looks a length up that is not known yet.
    mutating func next(_ stream: StreamID, stored: () throws -> UInt64) throws -> UInt64 {
        let known = lengths[stream]
        let length = try known ?? stored()
        changes.append((stream, known))
        lengths[stream] = length + 1
        return length
    }

    /// Keeps what the call changed.
    mutating func keep() { changes.removeAll(keepingCapacity: true) }

    /// Forgets all where there is too much; only when what the transaction added is stored.
    mutating func trim() {
        if lengths.count > StreamLengths.capacity { lengths.removeAll(keepingCapacity: true) }
    }

    /// Takes back what the call changed.
    mutating func takeBack() {
        for change in changes.reversed() { lengths[change.stream] = change.before }
        changes.removeAll(keepingCapacity: true)
    }

    /// Forgets everything: the transaction it came from was aborted.
    mutating func forget() {
        lengths.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
    }
}
