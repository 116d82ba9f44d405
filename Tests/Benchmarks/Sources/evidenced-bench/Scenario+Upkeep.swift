extension Scenario {
    private static let starts = 5

    /// What is measured on the ledger as filled, with its daemon stopped in between: disk, audit, start.
    ///
    /// - Parameter hashed: values per second that the raw baseline is read and hashed with.
    func atRest(_ entryBytes: Double, hashed: Double?) throws {
        let entries = Double(try daemon.size())
        daemon.stop()
        try disk(entries: entries, entryBytes: entryBytes)
        DiskUse.warm(daemon.ledger)
        add(
            "audit, warm cache",
            entries / (try daemon.audit()),
            "entries/s",
            .higher,
            raw: hashed.map { .init(name: "reading and hashing the raw LMDB's values", value: $0) },
            target: .atLeast(300_000)
        )
        try starts()
    }

    private func starts() throws {
        let bare = try Scenario.median((0..<Scenario.starts).map { _ in try daemon.bareStart() }) * 1_000
        let full = try Scenario.median(
            (0..<Scenario.starts).map { _ in
                daemon.stop()
                return try daemon.start()
            }
        )
        addBaseline("start of the program, --version", bare, "ms", .lower)
        add(
            "start, median of 5",
            full * 1_000,
            "ms",
            .lower,
            raw: .init(name: "evidenced --version", value: bare),
            target: .atMost(1_000)
        )
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

    private func disk(entries: Double, entryBytes: Double) throws {
        let use = try DiskUse(of: daemon.ledger)
        let text = Measurement.Raw(name: "the entries' bytes", value: entryBytes)
        func row(_ what: String, _ bytes: Int, target: Target? = nil) {
            add(what, Double(bytes) / entries, "B/entry", .lower, raw: text, target: target)
        }
        add("entry, average", entryBytes, "B")
        row("disk, everything", use.total, target: .atMost(2.2, times: "entries"))
        row("  without room written ahead", use.total - use.ahead)
        row("  store in use", use.store - use.ahead)
        row("  look-up index", use.index)
        row("  lock and keyring", use.rest)
        add("  room written ahead", Double(use.ahead) / 1e6, "MB")
    }

    /// What the appends left: the daemon's memory, and a start that finds the look-up index behind.
    func afterwards() throws {
        add("daemon's own memory, most seen", Double(daemon.peakMemory) / 1e6, "MB", .lower, target: .atMost(150))
        daemon.kill()
        add("start after kill -9", try daemon.start() * 1_000, "ms", .lower)
        add("entries at the end", Double(try daemon.size()), "entries")
        daemon.stop()
    }
}
