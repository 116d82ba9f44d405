/// Pulls the items of a stream on the worker threads, one at a time, and only while the client keeps up. It belongs to
/// one event loop.
final class StreamPump {
    private let next: @Sendable () -> StreamStep
    private let workers: Workers
    private let deliver: @Sendable (StreamStep) -> Void
    private var isPulling = false
    private var wokenMeanwhile = false
    /// Whether the stream had nothing to say when last asked.
    private(set) var isWaiting = false

    /// - Parameter deliver: called on a worker thread with each step; must bring it back to the loop as `took`.
    init(
        next: @escaping @Sendable () -> StreamStep,
        workers: @escaping Workers,
        deliver: @escaping @Sendable (StreamStep) -> Void
    ) {
        self.next = next
        self.workers = workers
        self.deliver = deliver
    }

    /// Asks for the next item unless one is being made or there is none yet.
    func pull() {
        guard !isPulling, !isWaiting else { return }
        isPulling = true
        let (next, deliver) = (next, deliver)
        workers { deliver(next()) }
    }

    /// Notes that a step arrived.
    func took(_ step: StreamStep) {
        isPulling = false
        if case .wait = step { isWaiting = !wokenMeanwhile }
        wokenMeanwhile = false
    }

    func wake() {
        wokenMeanwhile = isPulling
        isWaiting = false
    }
}
