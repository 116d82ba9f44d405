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

    func records(matching predicate: (LookupRecord) -> Bool) -> [LookupRecord] {
        state.withLock { $0.records.filter(predicate) }
    }

    /// The oldest records below `size`, at most `limit` of them.
    func oldest(below size: UInt64, limit: Int) -> [LookupRecord] {
        state.withLock { state in
            Array(state.records.prefix(limit).prefix { $0.index < size })
        }
    }

    /// Forgets the `count` oldest records, which the index now holds.
    func dropOldest(_ count: Int) {
        state.withLock { state in
            for record in state.records.prefix(count) { state.requests[record.request] = nil }
            state.records.removeFirst(count)
        }
    }
}
