import Glibc
import LMDB

/// What the disk allows: a plain loop that puts values of the entries' size under growing keys into LMDB, with the
/// same synced commits, and nothing else.
struct RawBaseline {
    private let environment: Environment
    private let database: Database
    private var next: UInt64 = 0
    private let value: [UInt8]

    init(directory: String, valueBytes: Int, entries: UInt64) throws {
        mkdir(directory, 0o700)
        environment = try Environment(directory: directory, mapBytes: 64 << 30, databases: 1)
        database = try environment.databases(["raw"], create: true)[0]
        value = (0..<valueBytes).map { UInt8(truncatingIfNeeded: $0) }
        while next < entries { try commit(Int(min(10_000, entries - next))) }
    }

    private mutating func commit(_ batch: Int) throws {
        var index = next
        try environment.write { transaction in
            for _ in 0..<batch {
                try transaction.append(database, withUnsafeBytes(of: index.bigEndian) { [UInt8]($0) }, value)
                index += 1
            }
        }
        next = index
    }

    /// Commits batches for some seconds; gives values per second and the commits' latencies.
    mutating func run(batch: Int, seconds: Double) throws -> (rate: Double, latencies: Latencies) {
        var latencies = Latencies()
        let start = Stopwatch.now
        var done = 0
        while Stopwatch.seconds(since: start) < seconds {
            let begin = Stopwatch.now
            try commit(batch)
            latencies.record(Stopwatch.now - begin)
            done += batch
        }
        return (Double(done) / Stopwatch.seconds(since: start), latencies)
    }
}
