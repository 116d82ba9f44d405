import Glibc
import Synchronization

/// Where log lines go: a buffer, and a thread that writes it out. Whoever logs never waits for whoever reads: where the
/// reader stops, lines beyond the buffer are dropped, and counted in a line of their own once there is room again.
public final class LogSink: Sendable {
    /// That of the process.
    public static let standardError = LogSink(descriptor: STDERR_FILENO)

    private struct State {
        var lines: [[UInt8]] = []
        var bytes = 0
        /// Lines dropped and not told of yet.
        var dropped = 0
        /// Whether the thread writes something.
        var isWriting = false
    }

    /// What runs on the thread and what it waits for; alive as long as the process.
    private final class Waiting: @unchecked Sendable {
        // Sendable: a semaphore is made for several threads.
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }
    }

    private let descriptor: Int32
    private let capacity: Int
    private let state = Mutex(State())
    private let waiting = Waiting()

    /// - Parameter capacity: bytes of lines that may wait.
    init(descriptor: Int32, capacity: Int = 1 << 20) {
        self.descriptor = descriptor
        self.capacity = capacity
        startThread()
    }

    /// Hands a line over; never waits.
    public func write(_ line: [UInt8]) {
        let isTaken = state.withLock { state in
            guard state.bytes + line.count <= capacity else {
                state.dropped += 1
                return false
            }
            state.lines.append(line)
            state.bytes += line.count
            return true
        }
        if isTaken { sem_post(waiting.semaphore) }
    }

    /// Waits until all is written, but not for longer than told.
    ///
    /// - Returns: whether it is.
    @discardableResult
    public func flush(milliseconds: Int) -> Bool {
        let end = ContinuousClock.now + .milliseconds(milliseconds)
        while !state.withLock({ $0.lines.isEmpty && !$0.isWriting && $0.dropped == 0 }) {
            guard ContinuousClock.now < end else { return false }
            usleep(1_000)
        }
        return true
    }

    private func startThread() {
        // Signals are for the main thread, which waits for them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<LogSink>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            context.toOpaque()
        )
        precondition(code == 0, "a thread can be started")
        pthread_detach(thread)
    }

    private func run() {
        while true {
            while sem_wait(waiting.semaphore) != 0 {}
            while let lines = take() {
                for line in lines { put(line) }
            }
        }
    }

    /// All that waits; nil where nothing does, and the thread rests.
    private func take() -> [[UInt8]]? {
        state.withLock { state in
            state.isWriting = !state.lines.isEmpty || state.dropped > 0
            guard state.isWriting else { return nil }
            defer {
                state.lines = []
                state.bytes = 0
                state.dropped = 0
            }
            guard state.dropped > 0 else { return state.lines }
            let line = "<4>\(state.dropped) log messages were dropped here, for nobody read them\n"
            return state.lines + [Array(line.utf8)]
        }
    }

    /// One write a line, so that those of several processes do not mix.
    private func put(_ line: [UInt8]) {
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                // Whoever gave us this descriptor made it so; the thread has the time.
                usleep(10_000)
                continue
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
