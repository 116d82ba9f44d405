import DequeModule
import LedgerFormat
import Synchronization

/// The entries the look-up index has not stored yet, in memory, so that answers are never stale.
final class LookupTail: Sendable {
    private struct State {
        var records: Deque<LookupRecord> = []
        var requests: [RequestReference: UInt64] = [:]
        /// Entries whose request key had made an earlier one.
        var repeated: Set<UInt64> = []
        /// Entries that erase, of which the index may still hold what they erased; not only those of `records`.
        var erasing: [UInt64] = []
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.records.count } }

    /// How many of the entries repeat a request of an earlier one.
    var repeated: Int { state.withLock { $0.repeated.count } }

    /// Adds entries in ledger order. The writer does so once they are committed and before it takes the next batch, so
    /// that no duplicate can slip between.
    ///
    /// - Parameter earlier: the entries before the tail that made the records' request keys; nil for none, as of all
    ///   that the writer records.
    /// - Returns: the entries whose request key had made an earlier one; the earlier one counts.
    @discardableResult
    func add(_ records: [LookupRecord], earlier: [UInt64?]? = nil) -> [UInt64] {
        state.withLock { state in
            var repeated: [UInt64] = []
            for (position, record) in records.enumerated() {
                state.records.append(record)
                if Erasing.types.contains(record.type) { state.erasing.append(record.index) }
                if earlier?[position] != nil || state.requests[record.request] != nil {
                    repeated.append(record.index)
                    state.repeated.insert(record.index)
                } else {
                    state.requests[record.request] = record.index
                }
            }
            return repeated
        }
    }

    func indexes(of references: [RequestReference]) -> [UInt64?] {
        state.withLock { state in references.map { state.requests[$0] } }
    }

    /// Indexes of the entries whose record passes.
    func indexes(where predicate: (LookupRecord) -> Bool) -> [UInt64] {
        state.withLock { state in
            var found: [UInt64] = []
            for record in state.records where predicate(record) { found.append(record.index) }
            return found
        }
    }

    /// The first entry that erases and was not forgotten.
    var erasing: UInt64? { state.withLock { $0.erasing.first } }

    /// Has the records of entries hold other documents.
    ///
    /// - Parameter records: of any entries, in ledger order.
    func revise(_ records: [LookupRecord]) {
        state.withLock { state in
            guard let first = state.records.first?.index else { return }
            // They follow one another without a gap.
            for record in records where record.index >= first && record.index - first < UInt64(state.records.count) {
                state.records[Int(record.index - first)] = record
            }
        }
    }

    /// Forgets an entry that erases: nothing is left of what it erased.
    func noteForgotten(_ erasing: UInt64) { state.withLock { $0.erasing.removeAll { $0 <= erasing } } }

    /// The oldest `count` records, if there are that many and all are below `size`.
    func oldest(_ count: Int, below size: UInt64) -> [LookupRecord]? {
        state.withLock { state in
            guard state.records.count >= count, state.records[count - 1].index < size else { return nil }
            return Array(state.records.prefix(count))
        }
    }

    /// Forgets the oldest records, which the index now holds.
    func drop(_ records: [LookupRecord]) {
        state.withLock { state in
            for record in records {
                state.repeated.remove(record.index)
                if state.requests[record.request] == record.index { state.requests[record.request] = nil }
            }
            state.records.removeFirst(records.count)
        }
    }
}
