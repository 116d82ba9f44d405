import DequeModule
import Synchronization

/// The work of one connection for the worker threads: done in order, one piece at a time, and only while the client
/// takes the answers. So a client with many heavy calls keeps others waiting for one of them at most, and what it does
/// not read is not made.
final class CallQueue: Sendable {
    private struct State {
        var work: Deque<@Sendable () -> Void> = []
        var isRunning = false
        /// Bytes of answers made and not yet handed to the channel.
        var waitingBytes = 0
        /// Whether the channel has more to send than the client takes.
        var isClogged = false
        var isClosed = false

        /// The next piece, if it may be done now.
        mutating func next() -> (@Sendable () -> Void)? {
            guard !isClosed, !isClogged, waitingBytes < CallQueue.maximumWaitingBytes else { return nil }
            return work.popFirst()
        }
    }

    /// Answers beyond this wait to be made until those before them are sent.
    private static let maximumWaitingBytes = 256 << 10
    /// How long a worker stays with one connection before others have their turn.
    private static let slice = Duration.milliseconds(1)
    private let workers: Workers
    private let mailbox: Mailbox
    private let state = Mutex(State())

    /// - Parameter mailbox: woken once for all answers of a slice.
    init(workers: @escaping Workers, mailbox: Mailbox) {
        self.workers = workers
        self.mailbox = mailbox
    }

    /// Has `work` done on a worker thread, after all that was added before; dropped where the connection is gone.
    func add(_ work: @escaping @Sendable () -> Void) {
        // What nobody will ever do must not be kept: it holds the call, and the call this queue.
        update { state in
            if !state.isClosed { state.work.append(work) }
        }
    }

    /// Notes an answer that is on its way to the channel.
    func made(_ bytes: Int) { state.withLock { $0.waitingBytes += bytes } }

    /// Notes that an answer was handed to the channel, and whether the channel takes more.
    func sent(_ bytes: Int, isWritable: Bool) {
        update { state in
            state.waitingBytes -= bytes
            state.isClogged = !isWritable
        }
    }

    /// Drops what is left: the connection is gone.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.work.removeAll()
        }
    }

    private func update(_ change: (inout State) -> Void) {
        let mustStart = state.withLock { state in
            change(&state)
            guard !state.isRunning, !state.work.isEmpty, !state.isClosed, !state.isClogged,
                state.waitingBytes < CallQueue.maximumWaitingBytes
            else { return false }
            state.isRunning = true
            return true
        }
        if mustStart { submit() }
    }

    private func submit() { workers { [self] in run() } }

    private func run() {
        let start = ContinuousClock.now
        defer { mailbox.deliverHeld() }
        while true {
            let work = state.withLock { state in
                let next = state.next()
                if next == nil { state.isRunning = false }
                return next
            }
            guard let work else { return }
            work()
            if ContinuousClock.now - start >= CallQueue.slice { return submit() }
        }
    }
}
