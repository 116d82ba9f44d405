public import JSON

/// What a submitter asks the ledger to record, checked against its type; everything the ledger adds (index, chain,
/// time, numbers, commitments) is still missing.
public struct Submission: Equatable, Sendable {
    /// Claims in clear under one scope.
    public struct Scope: Equatable, Sendable {
        public let scope: StreamID
        /// Claim names and values.
        public let claims: JSONObjectText

        public init(scope: StreamID, claims: JSONObjectText) {
            self.scope = scope
            self.claims = claims
        }
    }

    public let type: EventType
    public let request: RequestKey
    public let actor: Actor
    /// In text order, each once.
    public let streams: [StreamID]
    public let body: JSONObjectText
    /// In scope order.
    public let claims: [Scope]
    /// The smallest index the event's entry may have: the body cites nothing that comes after it.
    public let earliestIndex: UInt64

    /// Checks an event against its type and the format's limits.
    ///
    /// - Throws: `EventError` naming the field and the rule; claim values are never repeated in it.
    public init(
        type: EventType,
        request: RequestKey,
        actor: Actor,
        streams: [StreamID],
        body: JSONObjectText,
        claims: [Scope]
    ) throws(EventError) {
        guard 1...FormatLimits.streamsPerEvent ~= streams.count else {
            throw EventError(field: "streams", rule: "must hold 1 to \(FormatLimits.streamsPerEvent) streams")
        }
        let sorted = Submission.sorted(streams) { $0 < $1 }
        guard zip(sorted, sorted.dropFirst()).allSatisfy({ $0 != $1 }) else {
            throw EventError(field: "streams", rule: "must name each stream once")
        }
        guard claims.reduce(0, { $0 + $1.claims.members.count }) <= FormatLimits.claimsPerEvent else {
            throw EventError(field: "claims", rule: "must be at most \(FormatLimits.claimsPerEvent)")
        }
        for scope in claims {
            guard !scope.claims.members.isEmpty else {
                throw EventError(field: "claims", rule: "must hold at least one claim under each scope")
            }
            for claim in scope.claims.members where claim.value.count > FormatLimits.claimValueBytes {
                throw EventError(
                    field: "claims.\(scope.claims.name(of: claim))",
                    rule: "must be at most \(FormatLimits.claimValueBytes) bytes of canonical JSON"
                )
            }
        }
        try type.check(body: body, streams: sorted, claims: claims)
        self.type = type
        self.request = request
        self.actor = actor
        self.streams = sorted
        self.body = body
        self.claims = Submission.sorted(claims) { $0.scope < $1.scope }
        earliestIndex = type.earliestIndex(of: body)
    }

    /// Most lists have one element or are in order already.
    private static func sorted<Element>(
        _ elements: [Element],
        _ precedes: (Element, Element) -> Bool
    ) -> [Element] {
        for position in elements.indices.dropFirst() where !precedes(elements[position - 1], elements[position]) {
            return elements.sorted(by: precedes)
        }
        return elements
    }

    public static func == (left: Submission, right: Submission) -> Bool {
        left.type === right.type && left.request == right.request && left.actor == right.actor
            && left.streams == right.streams && left.claims == right.claims && left.body == right.body
    }
}
