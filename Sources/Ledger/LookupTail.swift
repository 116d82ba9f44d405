import DequeModule
import LedgerFormat
import Synchronization

/// The entries the look-up index has not stored yet, in memory, so that answers are never stale.
final class LookupTail: Sendable {
    private struct State {
        var records: Deque<LookupRecord> = []
        var requests: [RequestReference: UInt64] = [:]
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.records.count } }

    /// Adds entries in ledger order. The writer does so once they are committed and before it takes the next batch, so
    /// that no duplicate can slip between.
    func add(_ records: [LookupRecord]) {
        state.withLock { state in
            for record in records {
                state.records.append(record)
                state.requests[record.request] = record.index
            }
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
            for record in records { state.requests[record.request] = nil }
            state.records.removeFirst(records.count)
        }
    }
}
