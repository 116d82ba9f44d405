import Glibc
import JSON
import Synchronization
import Varlink

/// All measurements on a ledger of one size.
struct Scenario {
    private static let append = "org.evidenced.Ledger.Append"
    private static let fillBatch = 1_000
    private static let seeds = Atomic<UInt64>(1)
    let daemon: Daemon
    let size: Int
    let seconds: Double

    func fill() throws {
        let load = Load(socket: daemon.socket, connections: 2, depth: 4, method: Scenario.append)
        _ = try load.run(seconds: 3_600, calls: max(size / Scenario.fillBatch, 2)) { _ in
            Scenario.source(events: Scenario.fillBatch, proofs: false)
        }
    }

    /// What an entry of the load takes, as text.
    func entryBytes() throws -> Int {
        let reply = try VarlinkClient(path: daemon.socket).call(
            "org.evidenced.Ledger.GetEntry",
            .members(["index": .int(Int64(size / 2))])
        )
        return reply["entry"]?["entry"]?.string?.utf8.count ?? 700
    }

    func run(_ raw: inout RawBaseline, _ table: inout Table) throws {
        let trip = try roundTrip()
        let one = try raw.run(batch: 1, seconds: seconds)
        let single = try load(connections: 1, depth: 1, events: 1, proofs: true)
        let floor = one.latencies.percentile(50) + trip.percentile(50)
        table.add(
            size,
            "one submitter, one event, with proof",
            single.latencies.text,
            raw: "commit \(figure(one.latencies.percentile(50))) + socket \(figure(trip.percentile(50))) µs",
            ratio: single.latencies.percentile(50) / floor,
            target: "at most 2 in p50"
        )
        let singleRate = Double(single.calls) / single.seconds
        try rates(singleRate, &raw, &table)
        try proofs(&table)
        try upkeep(&table)
    }

    private func rates(_ singleRate: Double, _ raw: inout RawBaseline, _ table: inout Table) throws {
        let many = try load(connections: 1, depth: 64, events: 1, proofs: false)
        let manyRate = Double(many.calls) / many.seconds
        let rawMany = try raw.run(batch: 64, seconds: seconds)
        table.add(
            size,
            "64 calls in flight, one event each",
            "\(figure(manyRate)) events/s",
            raw: "\(figure(rawMany.rate)) values/s in 64s",
            ratio: manyRate / rawMany.rate,
            target: "20 x one submitter"
        )
        table.add(
            size,
            "  against one submitter",
            many.latencies.text,
            raw: "\(figure(singleRate)) events/s",
            ratio: manyRate / singleRate,
            target: "at least 20"
        )
        let batches = try load(connections: 4, depth: 2, events: 256, proofs: false)
        let batchRate = Double(batches.calls * 256) / batches.seconds
        let rawBatches = try raw.run(batch: 1_024, seconds: seconds)
        table.add(
            size,
            "batches of 256 on 4 connections",
            "\(figure(batchRate)) events/s",
            raw: "\(figure(rawBatches.rate)) values/s in 1,024s",
            ratio: batchRate / rawBatches.rate,
            target: "150,000 events/s"
        )
    }

    private func proofs(_ table: inout Table) throws {
        let newest = try daemon.status()["size"]?.int ?? 1
        let load = Load(
            socket: daemon.socket,
            connections: 1,
            depth: 64,
            method: "org.evidenced.Ledger.ProveInclusion"
        )
        let outcome = try load.run(seconds: seconds) { _ in
            var state: UInt64 = 88_172_645_463_325_252
            return {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return Array(#"{"index":\#(state % UInt64(newest))}"#.utf8)
            }
        }
        table.add(
            size,
            "inclusion proofs, 64 in flight",
            "\(figure(Double(outcome.calls) / outcome.seconds)) proofs/s",
            target: "50,000 proofs/s"
        )
    }

    /// Start, audit, memory and disk.
    private func upkeep(_ table: inout Table) throws {
        let status = try daemon.status()
        let entries = Double(status["size"]?.int ?? 1)
        table.add(size, "the daemon's own memory", "\(figure(Double(daemon.memory()) / 1e6)) MB", target: "150 MB")
        let disk = Double(status["storeBytes"]?.int ?? 0) / (entries * Double(try entryBytes()))
        table.add(size, "store against the entries' bytes", figure(disk), ratio: disk, target: "at most 2.2")
        daemon.stop()
        let audit = try daemon.audit()
        table.add(size, "audit", "\(figure(entries / audit)) entries/s", target: "300,000 entries/s")
        table.add(size, "start", "\(figure(try daemon.start() * 1_000)) ms", target: "1,000 ms")
    }

    /// One message there and back, with nothing to do in between.
    private func roundTrip() throws -> Latencies {
        let load = Load(socket: daemon.socket, connections: 1, depth: 1, method: "org.varlink.service.GetInfo")
        return try load.run(seconds: 1) { _ in { Array("{}".utf8) } }.latencies
    }

    private func load(connections: Int, depth: Int, events: Int, proofs: Bool) throws -> Load.Outcome {
        let load = Load(socket: daemon.socket, connections: connections, depth: depth, method: Scenario.append)
        return try load.run(seconds: seconds) { _ in Scenario.source(events: events, proofs: proofs) }
    }

    private static func source(events: Int, proofs: Bool) -> () -> [UInt8] {
        var source = EventSource(seed: seeds.add(1, ordering: .relaxed).newValue)
        return { source.parameters(events: events, proofs: proofs) }
    }
}
