import Glibc

/// One connection's thread: keeps so many calls under way, and notes how long those took whose answer came in time.
final class LoadThread: @unchecked Sendable {
    // Sendable: the fields are the thread's own between `start` and `join`.
    private let connection: LoadConnection
    private let source: any MessageSource
    private let depth: Int
    private var callsLeft: Int
    private let from: UInt64
    private let until: UInt64
    private var handle = pthread_t()
    private var result: Result<[UInt64], any Error> = .success([])

    /// - Parameters:
    ///   - calls: after which it ends, at the latest.
    ///   - from: when latencies begin to count.
    ///   - until: when they cease to, and no further call is made.
    init(
        _ connection: LoadConnection,
        _ source: any MessageSource,
        depth: Int,
        calls: Int,
        from: UInt64,
        until: UInt64
    ) {
        self.connection = connection
        self.source = source
        self.depth = depth
        callsLeft = calls
        self.from = from
        self.until = until
    }

    func start() {
        pthread_create(
            &handle,
            nil,
            { argument in
                if let argument {
                    let thread = Unmanaged<LoadThread>.fromOpaque(argument).takeRetainedValue()
                    thread.result = Result { try thread.work() }
                }
                return nil
            },
            Unmanaged.passRetained(self).toOpaque()
        )
    }

    /// Waits for the end; gives nanoseconds of the calls that count.
    func join() throws -> [UInt64] {
        pthread_join(handle, nil)
        return try result.get()
    }

    private func work() throws -> [UInt64] {
        var samples: [UInt64] = []
        samples.reserveCapacity(1 << 20)
        // When each call under way was made, oldest first: a ring.
        var begun = [UInt64](repeating: 0, count: depth)
        var oldest = 0
        var underWay = 0
        var unsent = UnsafeRawBufferPointer(start: nil, count: 0)
        var now = Stopwatch.now
        while true {
            if unsent.isEmpty, now < until {
                let count = min(depth - underWay, callsLeft)
                if count > 0 {
                    unsent = source.next(count)
                    now = Stopwatch.now
                    for position in 0..<count { begun[(oldest + underWay + position) % depth] = now }
                    underWay += count
                    callsLeft -= count
                }
            }
            guard underWay > 0 else { return samples }
            if !unsent.isEmpty {
                unsent = UnsafeRawBufferPointer(rebasing: unsent[try connection.send(unsent)...])
                if !unsent.isEmpty, !connection.waitForEither() { continue }
            }
            let replies = try connection.receive()
            now = Stopwatch.now
            for _ in 0..<replies {
                if now >= from, now < until { samples.append(now - begun[oldest]) }
                oldest = (oldest + 1) % depth
            }
            underWay -= replies
        }
    }
}
