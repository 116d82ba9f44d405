import DequeModule
import Glibc
public import LedgerFormat
public import Merkle

/// What the ledger answers for one event.
public struct Receipt: Equatable, Sendable {
    public let index: UInt64
    /// The entry's leaf hash.
    public let leaf: Digest
    public let time: LedgerTime
    /// Whether the event was recorded by an earlier call.
    public let duplicate: Bool

    public init(index: UInt64, leaf: Digest, time: LedgerTime, duplicate: Bool) {
        self.index = index
        self.leaf = leaf
        self.time = time
        self.duplicate = duplicate
    }
}

/// Receipts in the order of the call's events, and the signed checkpoint that covers them.
public struct AppendOutcome: Sendable {
    public let receipts: [Receipt]
    public let checkpoint: SignedCheckpoint
}

/// One call waiting for the writer.
struct PendingAppend: Sendable {
    let submitter: String
    let submissions: [Submission]
    let claims: PreparedClaims
    /// What the call counts against the queue's byte limit.
    let bytes: Int
    let complete: @Sendable (Result<AppendOutcome, LedgerError>) -> Void
}

/// The calls waiting for the writer: bounded in events and bytes, filled by any thread, drained whole by one.
final class AppendQueue: @unchecked Sendable {
    // Sendable: every access to the fields below holds `lock`.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var calls: Deque<PendingAppend> = []
    private var events = 0
    private var bytes = 0
    private var closed = false
    /// Calls of the batch taken last.
    private var takenLast = 0
    private let maximumEvents: Int
    private let maximumBytes: Int

    init(maximumEvents: Int, maximumBytes: Int) {
        self.maximumEvents = maximumEvents
        self.maximumBytes = maximumBytes
        pthread_mutex_init(lock, nil)
        // Waits are measured by a clock nobody can set.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(lock)
        filled.deallocate()
        lock.deallocate()
    }

    /// Adds a call.
    ///
    /// - Parameter isOwn: the daemon's own few events are let in whatever waits.
    /// - Throws: `LedgerError.busy` where it does not fit beside those waiting, `.stopping` after `close`.
    func add(_ call: PendingAppend, isOwn: Bool = false) throws(LedgerError) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if closed { throw .stopping }
        // An empty queue takes any call the limits of a single call let through.
        guard
            isOwn || calls.isEmpty
                || events + call.submissions.count <= maximumEvents && bytes + call.bytes <= maximumBytes
        else { throw .busy }
        calls.append(call)
        events += call.submissions.count
        bytes += call.bytes
        pthread_cond_signal(filled)
    }

    /// Waits for calls and takes as many as fit a batch, at least one; nil once closed and empty.
    ///
    /// - Parameter seconds: for how long to wait; then none are taken. Nil for ever.
    func take(maximumEvents: Int, maximumBytes: Int, within seconds: Int? = nil) -> [PendingAppend]? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        end.tv_sec += seconds ?? 0
        while calls.isEmpty {
            if closed { return nil }
            if seconds == nil {
                pthread_cond_wait(filled, lock)
            } else if pthread_cond_timedwait(filled, lock, &end) != 0 {
                if calls.isEmpty { return closed ? nil : [] }
            }
        }
        if takenLast > 1 { gather(maximumEvents) }
        var batch: [PendingAppend] = []
        var taken = (events: 0, bytes: 0)
        while let call = calls.first {
            let next = (events: taken.events + call.submissions.count, bytes: taken.bytes + call.bytes)
            guard batch.isEmpty || next.events <= maximumEvents && next.bytes <= maximumBytes else { break }
            taken = next
            batch.append(calls.removeFirst())
        }
        events -= taken.events
        bytes -= taken.bytes
        takenLast = batch.count
        return batch
    }

    /// Waits while calls still come in, where the last batch had several: those who were answered together ask again
    /// together, and whoever takes the first of them alone makes all others wait for two commits. Who sends one call
    /// after the other is never kept waiting, nor anybody for longer than a commit takes.
    private func gather(_ enough: Int) {
        var seen = 0
        for _ in 0..<AppendQueue.rounds where !closed && events > seen && events < enough {
            seen = events
            pthread_mutex_unlock(lock)
            usleep(AppendQueue.gathering)
            pthread_mutex_lock(lock)
        }
    }

    /// Microseconds within which another call must come for the batch to wait on.
    private static let gathering: UInt32 = 30
    private static let rounds = 10

    /// Lets no more calls in; those waiting are still taken.
    func close() {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        closed = true
        pthread_cond_broadcast(filled)
    }

    /// Events and bytes waiting.
    var load: (events: Int, bytes: Int) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return (events, bytes)
    }
}
