import DequeModule
import Synchronization

/// Has work done on one of the worker threads, at once or later; never in a host that is stopping.
typealias Workers = @Sendable (_ work: @escaping @Sendable () -> Void) -> Void

/// Hands the worker threads out to the shares in turn, a piece of work each. Whatever a share asks for, another waits
/// for one piece of it at most, and never are all threads with one of them.
final class WorkQueue: Sendable {
    private struct Line {
        var work: Deque<@Sendable () -> Void> = []
        /// Pieces being done now.
        var running = 0
        /// How many may be.
        var most: Int
    }

    private struct State {
        var lines: [ObjectIdentifier: Line] = [:]
        /// Lines with work that waits, in the order of their turns.
        var turns: Deque<ObjectIdentifier> = []
        var isStopped = false

        /// The next piece of the first line whose turn it is and that may have one more thread.
        mutating func next() -> (work: @Sendable () -> Void, line: ObjectIdentifier)? {
            if isStopped { return nil }
            for _ in 0..<turns.count {
                let key = turns.removeFirst()
                guard var line = lines[key], line.running < line.most, let work = line.work.popFirst() else {
                    turns.append(key)
                    continue
                }
                line.running += 1
                if !line.work.isEmpty { turns.append(key) }
                lines[key] = line
                return (work, key)
            }
            return nil
        }

        mutating func finish(_ key: ObjectIdentifier) {
            guard var line = lines[key] else { return }
            line.running -= 1
            lines[key] = line.running == 0 && line.work.isEmpty ? nil : line
        }
    }

    private let threads: Int
    private let submit: Workers
    private let state = Mutex(State())

    /// - Parameters:
    ///   - threads: how many workers there are.
    ///   - submit: has something done on one of them.
    init(threads: Int, submit: @escaping Workers) {
        self.threads = threads
        self.submit = submit
    }

    /// The workers as a share has them: all but one, and strangers one.
    func workers(for share: Share) -> Workers {
        let most = share.isStrangers ? 1 : max(1, threads - 1)
        // The share is held, so that its key is no other's.
        return { [self, share] work in add(work, share.key, most: most) }
    }

    /// What waits is dropped.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.lines = [:]
            state.turns = []
        }
    }

    private func add(_ work: @escaping @Sendable () -> Void, _ key: ObjectIdentifier, most: Int) {
        let isTaken = state.withLock { state in
            if state.isStopped { return false }
            var line = state.lines[key] ?? Line(most: most)
            if line.work.isEmpty { state.turns.append(key) }
            line.work.append(work)
            state.lines[key] = line
            return true
        }
        if isTaken { submit { [self] in run() } }
    }

    /// Goes on until there is nothing that may be done: a line that had all its threads is gone on with by one of them.
    private func run() {
        while let (work, key) = state.withLock({ $0.next() }) {
            work()
            state.withLock { $0.finish(key) }
        }
    }
}
