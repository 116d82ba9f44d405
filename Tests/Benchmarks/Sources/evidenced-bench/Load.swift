import Glibc
import Varlink

/// Calls over the socket, pipelined to a depth, from one or more connections with a thread each.
struct Load {
    let socket: String
    let connections: Int
    /// Calls under way per connection.
    let depth: Int
    let method: String

    struct Outcome {
        var calls = 0
        var seconds = 0.0
        var latencies = Latencies()
    }

    /// Runs for some seconds, or until so many calls were answered.
    ///
    /// - Parameter parameters: makes one call's parameters; the first argument tells the connections apart.
    func run(
        seconds: Double,
        calls: Int = .max,
        _ parameters: @escaping @Sendable (Int) -> () -> [UInt8]
    ) throws -> Outcome {
        let threads = (0..<connections).map { number in
            LoadThread(load: self, seconds: seconds, calls: calls / connections, parameters: parameters(number))
        }
        let begin = Stopwatch.now
        for thread in threads { thread.start() }
        var outcome = Outcome()
        for thread in threads {
            let part = try thread.join()
            outcome.calls += part.calls
            for nanoseconds in part.samples { outcome.latencies.record(nanoseconds) }
        }
        outcome.seconds = Stopwatch.seconds(since: begin)
        return outcome
    }
}

private final class LoadThread: @unchecked Sendable {
    // Sendable: the fields are written by the thread and read after it was joined.
    private let load: Load
    private let seconds: Double
    private let calls: Int
    private let parameters: () -> [UInt8]
    private var handle = pthread_t()
    private var result: Result<(calls: Int, samples: [UInt64]), any Error> = .success((0, []))

    init(load: Load, seconds: Double, calls: Int, parameters: @escaping () -> [UInt8]) {
        self.load = load
        self.seconds = seconds
        self.calls = calls
        self.parameters = parameters
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

    func join() throws -> (calls: Int, samples: [UInt64]) {
        pthread_join(handle, nil)
        return try result.get()
    }

    private func work() throws -> (calls: Int, samples: [UInt64]) {
        let client = try VarlinkClient(path: load.socket)
        var samples: [UInt64] = []
        var begun: [UInt64] = []
        var sent = 0
        var first = 0
        let start = Stopwatch.now
        while true {
            let goesOn = sent < calls && Stopwatch.seconds(since: start) < seconds
            while goesOn, begun.count - first < load.depth, sent < calls {
                begun.append(Stopwatch.now)
                try client.send(load.method, parameters())
                sent += 1
            }
            guard first < begun.count else { return (sent, samples) }
            let reply = try client.receiveMessage()
            guard !reply.starts(with: #"{"error""#.utf8) else {
                throw BenchError(String(decoding: reply, as: UTF8.self))
            }
            samples.append(Stopwatch.now - begun[first])
            first += 1
        }
    }
}
