import Glibc
import LMDB
import OpenSSL

/// What the disk allows: a plain loop that puts values of the entries' size under growing keys into LMDB, with the
/// same synced commits, and nothing else.
struct RawBaseline {
    /// Values of one commit of the fill, few enough for LMDB to keep them in memory.
    static let fillBatch = 100_000
    /// Values that are read and hashed; more of them would say the same.
    private static let hashedValues: UInt64 = 1_000_000
    private let directory: String
    private let environment: Environment
    private let database: Database
    private let value: [UInt8]
    private var next: UInt64 = 0

    init(directory: String, valueBytes: Int) throws {
        self.directory = directory
        mkdir(directory, 0o700)
        environment = try Environment(directory: directory, mapBytes: 128 << 30, databases: 1)
        database = try environment.databases(["raw"], create: true)[0]
        value = (0..<valueBytes).map { UInt8(truncatingIfNeeded: $0) }
    }

    /// Puts so many values; gives the seconds.
    mutating func fill(_ values: Int) throws -> Double {
        let begin = Stopwatch.now
        while next < values { try commit(min(RawBaseline.fillBatch, values - Int(next))) }
        return Stopwatch.seconds(since: begin)
    }

    private mutating func commit(_ batch: Int) throws {
        let end = next + UInt64(batch)
        try environment.write { transaction in
            for index in next..<end { try transaction.append(database, number: index, value.span) }
        }
        next = end
    }

    /// Commits batches for half of a window, does something else, and commits batches for the other half: the disk has
    /// better and worse moments, and what is compared should meet the same.
    mutating func run<Result>(
        batch: Int,
        _ window: Window,
        around body: () throws -> Result
    ) throws -> (raw: Commits, result: Result) {
        let half = Window(warmUp: window.warmUp / 2, seconds: window.seconds / 2)
        var commits = Commits()
        try run(batch: batch, half, &commits)
        let result = try body()
        try run(batch: batch, half, &commits)
        return (commits, result)
    }

    /// What was committed after the warm-up.
    struct Commits {
        fileprivate(set) var latencies = Latencies()
        fileprivate var values = 0
        fileprivate var seconds = 0.0

        /// Values per second.
        var rate: Double { Double(values) / seconds }
    }

    private mutating func run(batch: Int, _ window: Window, _ commits: inout Commits) throws {
        var begin = Stopwatch.now
        let from = begin + UInt64(window.warmUp * 1e9)
        let until = from + UInt64(window.seconds * 1e9)
        while begin < until {
            try commit(batch)
            let end = Stopwatch.now
            if end >= from, end < until {
                commits.latencies.record(end - begin)
                commits.values += batch
            }
            begin = end
        }
        commits.seconds += window.seconds
    }

    /// Seconds of one commit of one value: the median of some.
    mutating func secondsOfCommit() throws -> Double {
        var seconds: [Double] = []
        for _ in 0..<101 {
            let begin = Stopwatch.now
            try commit(1)
            seconds.append(Stopwatch.seconds(since: begin))
        }
        return seconds.sorted()[seconds.count / 2]
    }

    /// Reads values and hashes them as leaves, the least an audit can do; gives values per second.
    func readAndHash() throws -> Double {
        let begin = Stopwatch.now
        let end = min(next, RawBaseline.hashedValues)
        var hasher = SHA256Hasher()
        try environment.read { transaction in
            for index in 0..<end {
                guard try transaction.withValue(database, number: index, { _ = hasher.leaf($0) }) != nil else {
                    throw BenchError("the raw baseline lost a value")
                }
            }
        }
        return Double(end) / Stopwatch.seconds(since: begin)
    }

    /// Gives up the page cache that the fill took, which is the ledger's to use. Commits touch the newest pages only.
    func leavePageCache() {
        let descriptor = open(directory + "/data.mdb", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        close(descriptor)
    }

    /// Bytes of the file's pages in use, per byte of the values.
    var bytesPerByte: Double { Double(environment.sizes.used) / Double(max(1, Int(next) * value.count)) }
}
