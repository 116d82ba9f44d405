import Glibc
import LMDB
import LedgerFormat
import Synchronization

/// The thread that moves whole blocks of entries from the tail into the look-up index, each in a durable commit of its
/// own. What is left of a block is read again from the log at the next start. It also clears up after readers of other
/// processes that were killed.
final class LookupFollower: Sendable {
    private struct State {
        var size: UInt64 = 0
        var stopping = false
    }

    /// Microseconds between looks at the tail.
    private static let poll: UInt32 = 20_000
    /// Seconds between looks for readers that died: their snapshots keep pages from being used again.
    private static let reaping: Int64 = 10
    private let index: LookupIndex
    private let store: Environment
    private let state = Mutex(State())
    private let fatal: @Sendable (any Error) -> Never

    init(index: LookupIndex, store: Environment, fatal: @escaping @Sendable (any Error) -> Never) {
        self.index = index
        self.store = store
        self.fatal = fatal
    }

    /// Tells how many entries are committed; only those are indexed.
    func committed(_ size: UInt64) { state.withLock { $0.size = size } }

    /// Asks `run` to store the whole blocks that are left and return.
    func stop() { state.withLock { $0.stopping = true } }

    func run() {
        var reaped = LedgerClock.steadySeconds
        while true {
            let now = LedgerClock.steadySeconds
            if now - reaped >= LookupFollower.reaping {
                reaped = now
                for environment in [store, index.environment] { environment.reapReaders() }
            }
            let (size, stopping) = state.withLock { ($0.size, $0.stopping) }
            if let records = index.tail.oldest(Int(LookupBlock.entries), below: size) {
                do { try index.store(records) } catch { fatal(error) }
                index.tail.drop(records)
            } else {
                if stopping { return }
                usleep(LookupFollower.poll)
            }
        }
    }
}
