import ArgumentParser

/// All measurements on a ledger of one size: first what must find the ledger at that size, then what adds to it.
struct Scenario {
    /// What can be measured alone.
    enum Part: String, CaseIterable, ExpressibleByArgument {
        /// Disk, audit, start and memory.
        case rest
        case proofs
        /// One submitter, and with it 64 calls in flight.
        case single
        case batches
        /// A large document in and out, and an erasure.
        case documents
    }

    let daemon: Daemon
    let size: Int
    let window: Window
    let report: Report
    let parts: [Part]

    /// - Parameters:
    ///   - rawDirectory: takes the raw baseline; on the disk that the ledger is on.
    ///   - rawLimit: values beyond which the raw baseline is not filled.
    func run(rawDirectory: String, rawLimit: Int) throws {
        try daemon.start()
        try fill()
        daemon.noteMemory()
        let entryBytes = try entryBytes()
        var raw = try RawBaseline(directory: rawDirectory, valueBytes: Int(entryBytes.rounded()))
        let hashed = try fillRaw(&raw, limit: rawLimit)
        if parts.contains(.rest) { try atRest(entryBytes, hashed: hashed) }
        if parts.contains(.proofs) { try proofs() }
        if parts.contains(.single) {
            let single = try single(&raw)
            try inFlight(single, &raw)
        }
        if parts.contains(.batches) { try batches(&raw) }
        if parts.contains(.documents) {
            try documents(rawDirectory)
            try erasure(commit: raw.secondsOfCommit())
        }
        if parts.contains(.rest) { try afterwards() }
    }

    /// Adds a figure.
    func add(
        _ what: String,
        _ figure: Double,
        _ unit: String,
        _ better: Measurement.Better = .neither,
        raw: Measurement.Raw? = nil,
        target: Target? = nil,
        isBoundInGrowth: Bool = false
    ) {
        report.add(
            size,
            Measurement(
                what: what,
                figure: figure,
                unit: unit,
                better: better,
                raw: raw,
                target: target,
                isBoundInGrowth: isBoundInGrowth
            )
        )
    }

    func addBaseline(_ what: String, _ figure: Double, _ unit: String, _ better: Measurement.Better = .neither) {
        report.addBaseline(size, Measurement(what: what, figure: figure, unit: unit, better: better))
    }

    /// Adds the percentiles, in microseconds, as rows below another.
    func add(_ latencies: Latencies, of what: String) {
        for (name, percent) in [("p50", 50), ("p99", 99), ("p99.9", 99.9)] {
            add("  \(what): \(name)", latencies.percentile(percent), "µs", .lower)
        }
    }

    /// Adds what a call's worth cost in processor time on both sides.
    func addProcessorTime(_ outcome: Load.Outcome, of name: String, per what: String, count: Int) {
        let unit = "µs/\(what)"
        add("  \(name): client's CPU", outcome.client * 1e6 / Double(max(1, count)), unit, .lower)
        add("  \(name): daemon's CPU", outcome.daemon * 1e6 / Double(max(1, count)), unit, .lower)
    }
}
