import Dispatch
import Glibc
import Synchronization

/// Work that falls apart into pieces, done by a thread for each processor.
enum Parallel {
    /// Threads at work.
    static let width = max(1, min(maximumWidth, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    /// Each thread may hold a reader of the store, of which there are few for the daemon and all others together.
    private static let maximumWidth = 32

    /// The results of `body` for 0 to `count` − 1, in that order.
    ///
    /// - Parameter body: takes the number of the thread, below `width`, and the position.
    static func map<Value: Sendable>(
        _ count: Int,
        _ body: @Sendable (_ thread: Int, _ position: Int) -> Value
    ) -> [Value] {
        let next = Atomic<Int>(0)
        let values = Mutex<[Value?]>(Array(repeating: nil, count: count))
        DispatchQueue.concurrentPerform(iterations: min(width, count)) { thread in
            while case let position = next.add(1, ordering: .relaxed).oldValue, position < count {
                let value = body(thread, position)
                values.withLock { $0[position] = value }
            }
        }
        return values.withLock { $0.compactMap { $0 } }
    }
}
