import Glibc

/// Calls over the socket, pipelined to a depth, from one or more connections with a thread each.
struct Load {
    let socket: String
    let connections: Int
    /// Calls under way per connection.
    let depth: Int

    /// What was answered between the warm-up and the end.
    struct Outcome {
        var calls = 0
        var seconds = 0.0
        var latencies = Latencies()
        var client = 0.0
        var daemon = 0.0

        var rate: Double { Double(calls) / seconds }
    }

    /// Runs through the window, and a little longer until every call is answered.
    ///
    /// - Parameters:
    ///   - daemon: whose processor time is taken.
    ///   - source: makes a connection's messages.
    func run(_ window: Window, daemon: Daemon, _ source: () -> any MessageSource) throws -> Outcome {
        let begin = Stopwatch.now
        let from = begin + UInt64(window.warmUp * 1e9)
        let until = from + UInt64(window.seconds * 1e9)
        let threads = try (0..<connections).map { _ in
            LoadThread(try LoadConnection(path: socket), source(), depth: depth, calls: .max, from: from, until: until)
        }
        for thread in threads { thread.start() }
        Stopwatch.sleep(until: from)
        let before = (client: ProcessorTime.own, daemon: daemon.processorTime)
        Stopwatch.sleep(until: until)
        let after = (client: ProcessorTime.own, daemon: daemon.processorTime)
        var outcome = Outcome(seconds: window.seconds)
        daemon.noteMemory()
        outcome.client = after.client - before.client
        outcome.daemon = after.daemon - before.daemon
        for thread in threads {
            let samples = try thread.join()
            outcome.calls += samples.count
            for nanoseconds in samples { outcome.latencies.record(nanoseconds) }
        }
        return outcome
    }

    /// Makes so many calls on each connection; gives the seconds.
    func run(calls: Int, _ source: () -> any MessageSource) throws -> Double {
        let begin = Stopwatch.now
        let threads = try (0..<connections).map { _ in
            LoadThread(try LoadConnection(path: socket), source(), depth: depth, calls: calls, from: 0, until: .max)
        }
        for thread in threads { thread.start() }
        for thread in threads { _ = try thread.join() }
        return Stopwatch.seconds(since: begin)
    }
}

/// Seconds of a measurement, and before it those that don't count.
struct Window {
    var warmUp = 1.0
    var seconds: Double
}
