extension Scenario {
    /// Inclusion proofs of entries all over the ledger, 64 in flight on four connections: the calls of one connection
    /// are worked on one after the other.
    func proofs() throws {
        let depth = 16
        let load = Load(socket: daemon.socket, connections: 4, depth: depth)
        let size = try daemon.size()
        let echo = try load.run(window, daemon: daemon) { RepeatedMessage(RepeatedMessage.echo, depth: depth) }
        let outcome = try load.run(window, daemon: daemon) { ProofMessages(size: size, depth: depth) }
        addBaseline("socket, 64 in flight", echo.rate, "calls/s", .higher)
        add(
            "inclusion proofs, 64 in flight",
            outcome.rate,
            "proofs/s",
            .higher,
            raw: .init(name: "calls that ask nothing, 64 in flight", value: echo.rate),
            target: .atLeast(50_000)
        )
        add(outcome.latencies, of: "proofs")
        addProcessorTime(outcome, of: "proofs", per: "proof", count: outcome.calls)
    }
}
