import JSON

/// What the ledger answered for one event.
struct Receipt {
    let index: Int64
    let leaf: String
    let time: String
    let isDuplicate: Bool
    /// A tlog-proof, where one was asked for.
    let proof: String?

    init(_ value: JSONValue) throws {
        index = try value.number("index")
        leaf = try value.text("leaf")
        time = try value.text("time")
        isDuplicate = value["duplicate"]?.bool ?? false
        proof = value["proof"]?.string
    }

    var json: JSONValue {
        .members([
            "index": .int(index), "leaf": .string(leaf), "time": .string(time), "duplicate": .bool(isDuplicate),
        ])
    }

    /// Writes `NAME.tlog-proof` and `NAME.entry.json` into a directory. A name that is taken gets the index after it,
    /// so that no older proof is overwritten.
    ///
    /// - Returns: the path of the proof.
    @discardableResult
    func save(in directory: String, name: String, connection: Connection) throws -> String {
        guard let proof else { throw Failure(.refused, "the daemon sent no proof for entry \(index)") }
        var path = "\(directory)/\(name)"
        if LocalFile.exists(path + ".tlog-proof") { path += ".\(index)" }
        try LocalFile.write(Array(connection.entry(index).text.utf8), to: path + ".entry.json")
        try LocalFile.write(Array(proof.utf8), to: path + ".tlog-proof")
        return path + ".tlog-proof"
    }
}

extension Connection {
    /// The most events and bytes of one call, well within what the daemon takes.
    private static let eventsPerCall = 1_000
    private static let bytesPerCall = 512 << 10

    /// Appends events, in as few calls as fit; each call is recorded as a whole or not at all.
    ///
    /// - Parameter each: gets the place of each event and its receipt, in order.
    func append(_ events: [JSONValue], proofs: Bool, each: (Int, Receipt) throws -> Void) throws {
        var start = 0
        while start < events.count {
            var end = start
            var bytes = 0
            while end < events.count, end - start < Connection.eventsPerCall {
                bytes += events[end].canonicalBytes.count
                if bytes > Connection.bytesPerCall, end > start { break }
                end += 1
            }
            let reply = try call("Append", ["events": .array(Array(events[start..<end])), "proofs": .bool(proofs)])
            let receipts = try reply.list("receipts").map { try Receipt($0) }
            guard receipts.count == end - start else {
                throw Failure(.refused, "the daemon sent \(receipts.count) receipts for \(end - start) events")
            }
            for (offset, receipt) in receipts.enumerated() { try each(start + offset, receipt) }
            start = end
        }
    }
}
