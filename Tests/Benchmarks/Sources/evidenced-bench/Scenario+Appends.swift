extension Scenario {
    private func load(connections: Int, depth: Int, events: Int, proofs: Bool = false) throws -> Load.Outcome {
        try Load(socket: daemon.socket, connections: connections, depth: depth).run(window, daemon: daemon) {
            AppendMessages(events: events, proofs: proofs, depth: depth)
        }
    }

    /// One event at a time, durable and proven when it is answered; gives events per second.
    func single(_ raw: inout RawBaseline) throws -> Double {
        let trip = try Load(socket: daemon.socket, connections: 1, depth: 1).run(window, daemon: daemon) {
            RepeatedMessage(RepeatedMessage.echo, depth: 1)
        }
        let (commit, outcome) = try raw.run(batch: 1, window) {
            try load(connections: 1, depth: 1, events: 1, proofs: true)
        }
        for (name, percent) in [("p50", 50), ("p99", 99), ("p99.9", 99.9)] {
            addBaseline("commit of one value: \(name)", commit.latencies.percentile(percent), "µs", .lower)
            addBaseline("socket round trip: \(name)", trip.latencies.percentile(percent), "µs", .lower)
            add(
                "one submitter, with proof: \(name)",
                outcome.latencies.percentile(percent),
                "µs",
                .lower,
                raw: .init(
                    name: "a commit of one value plus a socket round trip, same percentile",
                    value: commit.latencies.percentile(percent) + trip.latencies.percentile(percent)
                ),
                target: percent == 50 ? .atMost(2, times: "raw") : nil,
                isBoundInGrowth: percent == 50
            )
        }
        add("  one submitter's rate", outcome.rate, "events/s", .higher)
        return outcome.rate
    }

    func inFlight(_ single: Double, _ raw: inout RawBaseline) throws {
        let (commits, outcome) = try raw.run(batch: 64, window) { try load(connections: 4, depth: 16, events: 1) }
        addBaseline("commits of 64", commits.rate, "values/s", .higher)
        add(
            "64 calls in flight, one event each",
            outcome.rate,
            "events/s",
            .higher,
            raw: .init(name: "one submitter's rate", value: single),
            target: .atLeast(20, times: "single"),
            isBoundInGrowth: true
        )
        add(
            "  64 in flight against raw",
            outcome.rate,
            "events/s",
            .higher,
            raw: .init(name: "commits of 64", value: commits.rate)
        )
        add(outcome.latencies, of: "64 in flight")
        addProcessorTime(outcome, of: "64 in flight", per: "event", count: outcome.calls)
    }

    func batches(_ raw: inout RawBaseline) throws {
        let events = 256
        let connections = 4
        let (commits, outcome) = try raw.run(batch: events * connections, window) {
            try load(connections: connections, depth: 2, events: events)
        }
        addBaseline("commits of 1,024", commits.rate, "values/s", .higher)
        add(
            "batches of 256 on 4 connections",
            outcome.rate * Double(events),
            "events/s",
            .higher,
            raw: .init(name: "commits of 1,024", value: commits.rate),
            target: .atLeast(150_000),
            isBoundInGrowth: true
        )
        add(outcome.latencies, of: "batches of 256")
        addProcessorTime(outcome, of: "batches", per: "event", count: outcome.calls * events)
    }
}
