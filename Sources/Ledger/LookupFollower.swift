import Glibc
import LedgerFormat
import Synchronization

/// The thread that moves entries from the tail into the look-up index, in large and rare durable commits.
final class LookupFollower: Sendable {
    private struct State {
        var size: UInt64 = 0
        var stopping = false
    }

    /// Entries worth a commit of their own.
    private static let batch = 8_192
    /// Microseconds after which a smaller batch is stored all the same.
    private static let patience: UInt64 = 5_000_000
    private static let poll: UInt64 = 20_000
    private let index: LookupIndex
    private let state = Mutex(State())
    private let fatal: @Sendable (any Error) -> Never

    init(index: LookupIndex, fatal: @escaping @Sendable (any Error) -> Never) {
        self.index = index
        self.fatal = fatal
    }

    /// Tells how many entries are committed; only those are indexed.
    func committed(_ size: UInt64) { state.withLock { $0.size = size } }

    /// Asks `run` to store what is left and return.
    func stop() { state.withLock { $0.stopping = true } }

    func run() {
        var waited: UInt64 = 0
        while true {
            let (size, stopping) = state.withLock { ($0.size, $0.stopping) }
            let count = index.tail.count
            if count >= LookupFollower.batch || stopping && count > 0 || count > 0 && waited >= LookupFollower.patience
            {
                let records = index.tail.oldest(below: size, limit: LookupFollower.batch)
                do { try index.store(records) } catch { fatal(error) }
                index.tail.dropOldest(records.count)
                waited = 0
                if !records.isEmpty || stopping { continue }
            }
            if stopping { return }
            usleep(UInt32(LookupFollower.poll))
            waited += LookupFollower.poll
        }
    }
}
