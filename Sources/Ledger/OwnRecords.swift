import JSON
import LedgerFormat

/// What the daemon has to record of itself and could not yet. It goes with the next batch that succeeds, before
/// everything else in it: a full store or a clock that waits for its confirmation loses none of it.
struct OwnRecords {
    private enum Fact {
        case started(version: String, clean: Bool)
        case clockStatus(synchronized: Bool, behind: Int64, confirmed: ClockPolicy.Confirmation?)
        case clockJumped(microseconds: Int64, confirmed: ClockPolicy.Confirmation?)
    }

    private var facts: [Fact] = []

    var isEmpty: Bool { facts.isEmpty }

    mutating func addStart(version: String, clean: Bool) {
        facts.append(.started(version: version, clean: clean))
    }

    /// - Parameters:
    ///   - behind: how many microseconds the clock is behind the newest entry; at most 0 where it isn't.
    ///   - confirmed: who vouched for the clock's time, where it was not believed at once.
    mutating func addClockStatus(synchronized: Bool, behind: Int64, confirmed: ClockPolicy.Confirmation?) {
        facts.append(.clockStatus(synchronized: synchronized, behind: behind, confirmed: confirmed))
    }

    /// Adds a jump. Several that wait become one: only their sum can be told from the times of the entries.
    mutating func addJump(_ microseconds: Int64, confirmed: ClockPolicy.Confirmation?) {
        guard case .clockJumped(let waiting, let vouched) = facts.last else {
            facts.append(.clockJumped(microseconds: microseconds, confirmed: confirmed))
            return
        }
        facts.removeLast()
        let sum = waiting + microseconds
        if sum != 0 { facts.append(.clockJumped(microseconds: sum, confirmed: confirmed ?? vouched)) }
    }

    /// Forgets what was recorded.
    ///
    /// - Parameter results: what became of the calls that `calls` made, in their order.
    /// - Returns: why others were refused, which are kept.
    mutating func settle(_ results: some Sequence<Result<[Receipt], LedgerError>>) -> LedgerError? {
        var refusal: LedgerError?
        facts = zip(facts, results).compactMap { fact, result in
            guard case .failure(let error) = result else { return nil }
            refusal = refusal ?? error
            return fact
        }
        return refusal
    }

    /// The calls that record it.
    func calls(stream: StreamID, now: Int64) throws -> [PendingAppend] {
        try facts.map { fact in
            switch fact {
            case .started(let version, let clean):
                let body = [
                    JSONMember(name: "clean", value: .bool(clean)),
                    JSONMember(name: "version", value: .string(version)),
                ]
                return try SystemEvents.call("system.started", members: body, stream: stream, now: now)
            case .clockStatus(let synchronized, let behind, let confirmed):
                var body = [JSONMember(name: "synchronized", value: .bool(synchronized))]
                if behind > 0 { body.append(JSONMember(name: "behind", value: .int(OwnRecords.exact(behind)))) }
                if let confirmed { body.append(JSONMember(name: "confirmed", value: .string(confirmed.rawValue))) }
                return try SystemEvents.call("system.clock_status", members: body, stream: stream, now: now)
            case .clockJumped(let microseconds, let confirmed):
                var body = [JSONMember(name: "microseconds", value: .int(OwnRecords.exact(microseconds)))]
                if let confirmed { body.append(JSONMember(name: "confirmed", value: .string(confirmed.rawValue))) }
                return try SystemEvents.call("system.clock_jumped", members: body, stream: stream, now: now)
            }
        }
    }

    /// Within what a number of the format can be; no clock the kernel keeps gets there.
    private static func exact(_ microseconds: Int64) -> Int64 {
        min(max(microseconds, -JSONValue.maximumInteger), JSONValue.maximumInteger)
    }
}
