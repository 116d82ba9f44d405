import LMDB
import LedgerFormat
import Synchronization

/// The look-up index as the ledger uses it: ready, or waiting for room on its disk or to be made anew. While it waits,
/// whatever needs it is refused, and entries, proofs and streams are read as always.
final class Lookups: Sendable {
    private struct State {
        var index: LookupIndex?
        /// Of the one before, while somebody still reads it, or its files are not closed yet.
        weak var retired: Environment.Presence?
        /// Why there is none.
        var waiting = Lookups.opening
        var damage: LookupDamage?
        var isFull = false
        var isShort = false
    }

    static let full = LedgerError.storeFull(reason: "the look-up index has no room on its disk")
    private static let opening = LedgerError.busy
    private let state = Mutex(State())
    /// Held by the writer from its look-ups until the tail has what it recorded, and by the follower while it puts an
    /// index in place, so that no entry falls between the log that was read and the tail.
    private let appending = Mutex(())

    /// The index.
    ///
    /// - Throws: `LedgerError` where it waits.
    func ready() throws(LedgerError) -> LookupIndex {
        let (index, waiting) = state.withLock { ($0.index, $0.waiting) }
        guard let index else { throw waiting }
        return index
    }

    /// The index, for all that request keys do not tell.
    ///
    /// - Throws: `LedgerError` where it waits, or is still being checked.
    func checked() throws(LedgerError) -> LookupIndex {
        let index = try ready()
        guard index.isChecked else { throw .busy }
        return index
    }

    /// Asks the index for what request keys do not tell.
    ///
    /// - Throws: `LedgerError` where it waits, or is still being checked, or is found damaged by this: then it is made anew.
    func ask<Result>(_ question: (LookupIndex) throws -> Result) throws -> Result {
        do {
            return try question(checked())
        } catch let damage as LookupDamage {
            condemn(damage)
            throw LedgerError.busy
        }
    }

    /// How the index stands; nil where there is none, or it is found damaged by this.
    func standing() throws -> (indexed: UInt64, repeated: UInt64, isChecked: Bool)? {
        guard let index = try? ready() else { return nil }
        do {
            return (try index.indexed(), try index.repeated(), index.isChecked)
        } catch let damage as LookupDamage {
            condemn(damage)
            return nil
        }
    }

    /// Runs what looks request keys up and adds what it recorded to the tail.
    func whileAppending<Result>(_ body: (LookupIndex) throws -> Result) throws -> Result {
        try appending.withLock { _ in try body(try ready()) }
    }

    /// Whether an index that is in place is known to be as it was written.
    var isChecked: Bool { (try? ready())?.isChecked ?? true }

    /// Whether the index has no room for more than it holds.
    var isFull: Bool { state.withLock { $0.isFull } }

    func note(isFull: Bool) { state.withLock { $0.isFull = isFull } }

    /// Whether nothing is stored in the index for now for want of something that comes back (`Shortage`).
    var isShort: Bool { state.withLock { $0.isShort } }

    /// - Returns: whether it was otherwise before.
    @discardableResult
    func note(isShort: Bool) -> Bool {
        state.withLock { state in
            defer { state.isShort = isShort }
            return state.isShort != isShort
        }
    }

    /// No longer uses the index, which was found damaged; the follower makes it anew.
    func condemn(_ damage: LookupDamage) {
        state.withLock { state in
            guard state.index != nil else { return }
            state.damage = damage
            state.retired = state.index?.environment.presence
            state.index = nil
            state.waiting = Lookups.opening
        }
    }

    /// What the index was condemned for, until it is out of the way.
    var damage: LookupDamage? { state.withLock { $0.damage } }

    /// Notes that what was condemned is out of the way.
    func noteMovedAside() { state.withLock { $0.damage = nil } }

    /// Whether a condemned index is still open: a process must not open one environment twice.
    var isRetiring: Bool { state.withLock { $0.retired != nil } }

    /// Notes that there is no index for want of room.
    func waitForRoom() {
        state.withLock { state in
            state.waiting = Lookups.full
            state.isFull = true
        }
    }

    /// Puts an index in place.
    ///
    /// - Parameter body: gives the index's tail what the log has beyond the index; no append runs meanwhile.
    func put(_ index: LookupIndex, _ body: () throws -> Void) throws {
        try appending.withLock { _ in
            try body()
            state.withLock { $0.index = index }
        }
    }
}
