public import JSON

/// What a submitter asks the ledger to record, checked against its type; everything the ledger adds (index, chain,
/// time, numbers, commitments) is still missing.
public struct Submission: Equatable, Sendable {
    /// Claims in clear under one scope.
    public struct Scope: Equatable, Sendable {
        public let scope: StreamID
        /// In name order.
        public let claims: [JSONMember]

        public init(scope: StreamID, claims: [JSONMember]) {
            self.scope = scope
            let isSorted = zip(claims, claims.dropFirst()).allSatisfy { JSONWriter.precedes($0.name, $1.name) }
            self.claims = isSorted ? claims : claims.sorted { JSONWriter.precedes($0.name, $1.name) }
        }
    }

    public let type: EventType
    public let request: RequestKey
    public let actor: Actor
    /// In text order, each once.
    public let streams: [StreamID]
    public let body: [JSONMember]
    /// In scope order.
    public let claims: [Scope]

    /// Checks an event against its type and the format's limits.
    ///
    /// - Throws: `EventError` naming the field and the rule; claim values are never repeated in it.
    public init(
        type: EventType,
        request: RequestKey,
        actor: Actor,
        streams: [StreamID],
        body: [JSONMember],
        claims: [Scope]
    ) throws(EventError) {
        guard 1...FormatLimits.streamsPerEvent ~= streams.count else {
            throw EventError(field: "streams", rule: "must hold 1 to \(FormatLimits.streamsPerEvent) streams")
        }
        let sorted = streams.sorted()
        guard zip(sorted, sorted.dropFirst()).allSatisfy({ $0 != $1 }) else {
            throw EventError(field: "streams", rule: "must name each stream once")
        }
        guard claims.reduce(0, { $0 + $1.claims.count }) <= FormatLimits.claimsPerEvent else {
            throw EventError(field: "claims", rule: "must be at most \(FormatLimits.claimsPerEvent)")
        }
        for scope in claims {
            guard !scope.claims.isEmpty else {
                throw EventError(field: "claims", rule: "must hold at least one claim under each scope")
            }
            for claim in scope.claims where Submission.isTooLong(claim.value) {
                throw EventError(
                    field: "claims.\(claim.name)",
                    rule: "must be at most \(FormatLimits.claimValueBytes) bytes of canonical JSON"
                )
            }
        }
        try type.check(body: body, streams: sorted, claims: claims.map { ($0.scope, $0.claims) })
        self.type = type
        self.request = request
        self.actor = actor
        self.streams = sorted
        self.body = body
        self.claims = claims.sorted { $0.scope < $1.scope }
    }

    /// Whether a value's canonical JSON exceeds the limit. An escape takes at most six bytes, so most texts need no
    /// encoding to tell.
    private static func isTooLong(_ value: JSONValue) -> Bool {
        if case .string(let text) = value, text.utf8.count <= (FormatLimits.claimValueBytes - 2) / 6 { return false }
        if case .int = value { return false }
        return value.canonicalBytes.count > FormatLimits.claimValueBytes
    }

    public static func == (left: Submission, right: Submission) -> Bool {
        left.type.name == right.type.name && left.request == right.request && left.actor == right.actor
            && left.streams == right.streams && left.claims == right.claims
            && JSONValue.object(left.body).canonicalBytes == JSONValue.object(right.body).canonicalBytes
    }
}
