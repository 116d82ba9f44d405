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
    let events: PreparedEvents
    /// What the call counts against the queue's byte limit.
    let bytes: Int
    /// What is to be done about the key of a scope, where the call records nothing and is only that.
    var reservation: KeyReservation?
    let complete: @Sendable (Result<AppendOutcome, LedgerError>) -> Void

    var submissions: Submissions { events.submissions }

    /// What it costs the writer, as bytes.
    fileprivate var cost: Int { bytes + 256 * submissions.count }
}

/// The calls waiting for the writer: bounded in events and bytes, filled by any thread, drained by one.
///
/// Submitters share it fairly. Each has a line of its own, a batch takes from all lines in turn, and each may have as
/// much waiting as the limits divided by how many wait: `Busy` is for who floods, never for who has nothing waiting.
final class AppendQueue: @unchecked Sendable {
    private struct Line {
        var calls: Deque<PendingAppend> = []
        var events = 0
        var bytes = 0
        /// What it may still have taken in its turn.
        var credit = 0
        /// Whether the batch was full in the midst of its turn, which goes on with the next.
        var isHeld = false
    }

    // Sendable: every access to the fields below holds `lock`.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var lines: [String: Line] = [:]
    /// The submitters with calls waiting, in the order of their turns.
    private var turns: Deque<String> = []
    private var events = 0
    private var bytes = 0
    private var closed = false
    /// Taken once nothing else waits any more.
    private var farewell: PendingAppend?
    /// Calls of the batch taken last.
    private var takenLast = 0
    /// For how many batches more a second submitter is reckoned with.
    private var company = 0
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
    /// - Throws: `LedgerError.busy` where it does not fit beside those waiting, `.stopping` after `close`.
    func add(_ call: PendingAppend) throws(LedgerError) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if closed { throw .stopping }
        var line = lines[call.submitter] ?? Line()
        // Who has nothing waiting may send any call the limits of a single call let through.
        guard
            line.calls.isEmpty
                || line.events + call.submissions.count <= maximumEvents / turns.count
                    && line.bytes + call.bytes <= maximumBytes / turns.count
        else { throw .busy }
        if line.calls.isEmpty { turns.append(call.submitter) }
        line.calls.append(call)
        line.events += call.submissions.count
        line.bytes += call.bytes
        lines[call.submitter] = line
        events += call.submissions.count
        bytes += call.bytes
        pthread_cond_signal(filled)
    }

    /// Waits for calls and takes as many as fit a batch, at least one; nil once closed and empty.
    ///
    /// Where several submitters append, batches are smaller: each of them waits for the batch under way.
    ///
    /// - Parameter seconds: for how long to wait; then none are taken. Nil for ever.
    func take(maximumEvents: Int, maximumBytes: Int, within seconds: Int? = nil) -> [PendingAppend]? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        end.tv_sec += seconds ?? 0
        while turns.isEmpty {
            if closed {
                defer { farewell = nil }
                return farewell.map { [$0] }
            }
            if seconds == nil {
                pthread_cond_wait(filled, lock)
            } else if pthread_cond_timedwait(filled, lock, &end) != 0, turns.isEmpty, !closed {
                return []
            }
        }
        if takenLast > 1 { gather(maximumEvents) }
        company = turns.count > 1 ? AppendQueue.companyBatches : max(0, company - 1)
        let part = company > 0 ? AppendQueue.sharedPart : 1
        let batch = take(min(maximumEvents, max(256, maximumEvents / part)), maximumBytes / part)
        takenLast = batch.count
        return batch
    }

    /// Takes in turns until the batch is full or nothing waits.
    private func take(_ maximumEvents: Int, _ maximumBytes: Int) -> [PendingAppend] {
        var batch: [PendingAppend] = []
        var taken = (events: 0, bytes: 0)
        /// Whose next call doesn't fit any more; they are first the next time.
        var held: [String] = []
        while let submitter = turns.popFirst() {
            guard var line = lines.removeValue(forKey: submitter) else { continue }
            if !line.isHeld { line.credit += AppendQueue.turnCost }
            line.isHeld = false
            while let call = line.calls.first, call.cost <= line.credit {
                let next = (events: taken.events + call.submissions.count, bytes: taken.bytes + call.bytes)
                guard batch.isEmpty || next.events <= maximumEvents && next.bytes <= maximumBytes else {
                    line.isHeld = true
                    break
                }
                taken = next
                line.credit -= call.cost
                line.events -= call.submissions.count
                line.bytes -= call.bytes
                batch.append(line.calls.removeFirst())
            }
            // Credit is for who waits: an empty line begins anew.
            if line.calls.isEmpty { continue }
            lines[submitter] = line
            if line.isHeld { held.append(submitter) } else { turns.append(submitter) }
        }
        turns.append(contentsOf: held)
        events -= taken.events
        bytes -= taken.bytes
        return batch
    }

    /// What a line may have taken in each turn, in the measure of `PendingAppend.cost`.
    private static let turnCost = 16 << 10
    private static let companyBatches = 64
    /// What part of a batch is taken where there is company.
    private static let sharedPart = 16

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
    ///
    /// - Parameter farewell: a call taken after all others.
    func close(farewell: PendingAppend? = nil) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if closed { return }
        closed = true
        self.farewell = farewell
        pthread_cond_broadcast(filled)
    }

    /// Events and bytes waiting.
    var load: (events: Int, bytes: Int) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return (events, bytes)
    }
}
