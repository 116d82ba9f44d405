import JSON

extension Scenario {
    /// Events of one call, few enough for the calls under way to fit the daemon's queue.
    private static let batch = 2_000
    private static let connections = 2
    private static let depth = 4
    /// Entries looked at for the average length, and how many of them in a row.
    private static let sample = 1_000
    private static let sampleRun = 50

    func fill() throws {
        report.progress("\(Figure.grouped(size)) entries: filling the ledger")
        var seconds = 0.0
        let calls = size / (Scenario.batch * Scenario.connections)
        if calls > 0 {
            seconds += try Load(socket: daemon.socket, connections: Scenario.connections, depth: Scenario.depth)
                .run(calls: calls) { AppendMessages(events: Scenario.batch, proofs: false, depth: Scenario.depth) }
        }
        let rest = size - calls * Scenario.batch * Scenario.connections
        if rest > 0 {
            seconds += try Load(socket: daemon.socket, connections: 1, depth: 1)
                .run(calls: 1) { AppendMessages(events: rest, proofs: false, depth: 1) }
        }
        if seconds > 0 { addBaseline("filling the ledger", Double(size) / seconds, "events/s", .higher) }
    }

    /// The average entry, as text: of a sample spread over the whole ledger.
    func entryBytes() throws -> Double {
        let size = try daemon.size()
        var bytes = 0
        var entries = 0
        for run in 0..<(Scenario.sample / Scenario.sampleRun) {
            let from = size / (Scenario.sample / Scenario.sampleRun) * run
            let reply = try daemon.call(
                "ListEntries",
                .members(["from": .int(Int64(from)), "limit": .int(Int64(Scenario.sampleRun))])
            )
            for entry in reply["entries"]?.array ?? [] {
                bytes += entry["entry"]?.string?.utf8.count ?? 0
                entries += 1
            }
        }
        guard entries > 0 else { throw BenchError("the ledger lists no entries") }
        return Double(bytes) / Double(entries)
    }

    /// Gives values per second of reading and hashing; nil for no values.
    func fillRaw(_ raw: inout RawBaseline, limit: Int) throws -> Double? {
        let values = min(size, limit)
        if values < size {
            report.note("The raw LMDB of larger ledgers holds \(Figure.grouped(limit)) values only (--raw-limit).")
        }
        addBaseline("values in the raw LMDB", Double(values), "values")
        guard values > 0 else { return nil }
        let seconds = try raw.fill(values)
        let name = "filling it, commits of \(Figure.grouped(RawBaseline.fillBatch))"
        addBaseline(name, Double(values) / seconds, "values/s", .higher)
        addBaseline("its disk per byte of values", raw.bytesPerByte, "B/B", .lower)
        let hashed = try raw.readAndHash()
        addBaseline("reading and hashing values", hashed, "values/s", .higher)
        raw.leavePageCache()
        return hashed
    }
}
