import DequeModule
import Synchronization

/// Has work done on one of the worker threads, at once or later; never in a host that is stopping.
typealias Workers = @Sendable (_ work: @escaping @Sendable () -> Void) -> Void

/// Hands the worker threads out to the shares in turn, a piece of work each. Whatever a share asks for, another waits
/// for one piece of it at most, and never are all threads with one of them. Within a share the pieces of its calls and
/// those of its bodies take turns, and some thread is kept from the bodies: who sends many gigabytes still gets answers,
/// and so do others where a disk holds the bodies up.
final class WorkQueue: Sendable {
    private typealias Work = @Sendable () -> Void

    /// What waits of one share.
    private struct Line {
        var calls: Deque<Work> = []
        var bodies: Deque<Work> = []
        /// Pieces being done now, and how many of them are of bodies.
        var running = 0
        var runningBodies = 0
        /// How many may be.
        let most: Int
        let mostBodies: Int
        /// Whether the last piece was one of a body.
        var wasBody = false

        init(most: Int) {
            self.most = most
            mostBodies = max(1, most - 1)
        }

        var isEmpty: Bool { calls.isEmpty && bodies.isEmpty }

        /// The next piece, and whether it is one of a body; nil where none may be done now.
        mutating func next(mayBeBody: Bool) -> (work: Work, isBody: Bool)? {
            guard running < most else { return nil }
            let hasBody = mayBeBody && !bodies.isEmpty && runningBodies < mostBodies
            let isBody = hasBody && (calls.isEmpty || !wasBody)
            guard let work = isBody ? bodies.popFirst() : calls.popFirst() else { return nil }
            wasBody = isBody
            running += 1
            runningBodies += isBody ? 1 : 0
            return (work, isBody)
        }
    }

    private struct State {
        var lines: [ObjectIdentifier: Line] = [:]
        /// Lines with work that waits, in the order of their turns.
        var turns: Deque<ObjectIdentifier> = []
        /// Pieces of bodies being done now, and how many may be, of all shares.
        var runningBodies = 0
        let mostBodies: Int
        var isStopped = false

        /// The next piece of the first line whose turn it is and that may have one more thread.
        mutating func next() -> (work: Work, isBody: Bool, line: ObjectIdentifier)? {
            if isStopped { return nil }
            for _ in 0..<turns.count {
                let key = turns.removeFirst()
                guard let (work, isBody) = lines[key]?.next(mayBeBody: runningBodies < mostBodies) else {
                    turns.append(key)
                    continue
                }
                runningBodies += isBody ? 1 : 0
                if lines[key]?.isEmpty == false { turns.append(key) }
                return (work, isBody, key)
            }
            return nil
        }

        mutating func finish(_ key: ObjectIdentifier, isBody: Bool) {
            runningBodies -= isBody ? 1 : 0
            lines[key]?.running -= 1
            lines[key]?.runningBodies -= isBody ? 1 : 0
            if let line = lines[key], line.running == 0, line.isEmpty { lines[key] = nil }
        }
    }

    private let threads: Int
    private let submit: Workers
    private let state: Mutex<State>

    /// - Parameters:
    ///   - threads: how many workers there are.
    ///   - submit: has something done on one of them.
    init(threads: Int, submit: @escaping Workers) {
        self.threads = threads
        self.submit = submit
        state = Mutex(State(mostBodies: max(1, threads - 1)))
    }

    /// The workers as a share has them for its calls: all but one, and strangers one.
    func workers(for share: Share) -> Workers {
        // The share is held, so that its key is no other's.
        return { [self, share] work in add(work, share, isBody: false) }
    }

    /// The workers as a share has them for pieces of bodies: one less again, where there are as many.
    func bodyWorkers(for share: Share) -> Workers {
        return { [self, share] work in add(work, share, isBody: true) }
    }

    /// What waits is dropped.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.lines = [:]
            state.turns = []
        }
    }

    private func add(_ work: @escaping Work, _ share: Share, isBody: Bool) {
        let isTaken = state.withLock { state in
            if state.isStopped { return false }
            var line = state.lines[share.key] ?? Line(most: share.isStrangers ? 1 : max(1, threads - 1))
            if line.isEmpty { state.turns.append(share.key) }
            if isBody { line.bodies.append(work) } else { line.calls.append(work) }
            state.lines[share.key] = line
            return true
        }
        if isTaken { submit { [self] in run() } }
    }

    /// Goes on until there is nothing that may be done: a line that had all its threads is gone on with by one of them.
    private func run() {
        while let (work, isBody, key) = state.withLock({ $0.next() }) {
            work()
            state.withLock { $0.finish(key, isBody: isBody) }
        }
    }
}
