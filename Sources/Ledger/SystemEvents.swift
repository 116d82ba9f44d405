import JSON
import LedgerFormat
import OpenSSL

/// The events the daemon records of itself.
enum SystemEvents {
    /// The submitter name of the daemon's own events; no principal may have it.
    static let submitter = "evidenced"

    static func submission(
        _ type: String,
        members: [JSONMember] = [],
        stream: StreamID,
        now: Int64
    ) throws -> Submission {
        guard let type = EventCatalogue.type(named: type) else { throw StoreDamage(nil, "no event type \(type)") }
        return try Submission(
            type: type,
            request: RequestKey.fresh(now: now),
            actor: .system,
            streams: [stream],
            body: JSONObjectText(members),
            claims: []
        )
    }

    static func submission(
        _ type: String,
        body: KeyValuePairs<String, JSONValue>,
        stream: StreamID,
        now: Int64
    ) throws -> Submission {
        let members = body.map { JSONMember(name: $0.key, value: $0.value) }
        return try submission(type, members: members, stream: stream, now: now)
    }

    static func call(
        _ type: String,
        members: [JSONMember] = [],
        stream: StreamID,
        now: Int64,
        complete: @escaping @Sendable (Result<AppendOutcome, LedgerError>) -> Void = { _ in }
    ) throws -> PendingAppend {
        let submissions = Submissions([try submission(type, members: members, stream: stream, now: now)])
        return PendingAppend(
            submitter: submitter,
            events: try PreparedEvents(submissions, from: submitter, CommitmentHasher()),
            bytes: 512,
            complete: complete
        )
    }
}

extension ID128 {
    /// A fresh id for `microseconds` since the Unix epoch.
    static func fresh(now microseconds: Int64) throws -> ID128 {
        let random = try SecureRandom.bytes(10)
        let high = UInt16(random[0]) << 8 | UInt16(random[1])
        let low = random[2...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return ID128(milliseconds: UInt64(max(microseconds, 0)) / 1_000, random: (high, low))
    }
}

extension RequestKey {
    /// A fresh UUID of version 7 (RFC 9562 section 5.7).
    static func fresh(now microseconds: Int64) throws -> RequestKey {
        let id = try ID128.fresh(now: microseconds)
        return RequestKey(
            value: ID128(high: id.high & ~0xF000 | 0x7000, low: id.low & ~(3 << 62) | 2 << 62)
        )
    }
}
