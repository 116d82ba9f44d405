import Glibc
import JSON
import Varlink

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

    /// What a command prints of it.
    var members: [JSONMember] {
        [
            JSONMember(name: "duplicate", value: .bool(isDuplicate)), JSONMember(name: "index", value: .int(index)),
            JSONMember(name: "leaf", value: .string(leaf)), JSONMember(name: "time", value: .string(time)),
        ]
    }
}

extension Connection {
    /// The most events and bytes of one call, well within what the daemon takes.
    private static let eventsPerCall = 1_000
    private static let bytesPerCall = 512 << 10
    /// How long a call whose answer was lost waits before it is made again, in milliseconds: long enough for a daemon
    /// that is being restarted.
    private static let pauses: [UInt32] = [100, 1_000, 3_000]

    /// Appends events, in as few calls as fit; each call is recorded as a whole or not at all. A call whose answer was
    /// lost is made again: every event has its request key, so that it is recorded once.
    ///
    /// - Parameters:
    ///   - method: Append, or Erase for events that destroy keys.
    ///   - each: gets the place of each event and its receipt, in order.
    func append(_ events: [JSONValue], by method: String = "Append", proofs: Bool, each: (Int, Receipt) throws -> Void)
        throws
    {
        var start = 0
        while start < events.count {
            var end = start
            var bytes = 0
            while end < events.count, end - start < Connection.eventsPerCall {
                bytes += events[end].canonicalBytes.count
                if bytes > Connection.bytesPerCall, end > start { break }
                end += 1
            }
            let reply = try append(Array(events[start..<end]), by: method, proofs: proofs)
            let receipts = try reply.list("receipts").map { try Receipt($0) }
            guard receipts.count == end - start else {
                throw Failure(.refused, "the daemon sent \(receipts.count) receipts for \(end - start) events")
            }
            for (offset, receipt) in receipts.enumerated() { try each(start + offset, receipt) }
            start = end
        }
    }

    private func append(_ events: [JSONValue], by method: String, proofs: Bool) throws -> JSONValue {
        var pauses = Connection.pauses[...]
        while true {
            do {
                return try call(method, ["events": .array(events), "proofs": .bool(proofs)])
            } catch VarlinkClientError.closed where !pauses.isEmpty {
                repeat { usleep(1_000 * pauses.removeFirst()) } while try !reopened(isLast: pauses.isEmpty)
            }
        }
    }

    /// Connects anew; false where that failed and isn't the last time.
    private func reopened(isLast: Bool) throws -> Bool {
        do {
            try reopen()
            return true
        } catch let error as VarlinkClientError {
            guard !isLast else { throw error }
            return false
        }
    }
}
