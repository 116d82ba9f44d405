public import JSON

/// The events of one call, checked against their types, in a few flat buffers: however many there are, reading them takes
/// a handful of allocations and leaves a handful to be freed.
public struct Submissions: Sendable {
    /// A JSON object: its canonical text, and where its members stand in that.
    public struct Object: Sendable {
        /// In `text`.
        public let text: Range<Int>
        /// In `members`.
        public let members: Range<Int>
    }

    /// Claims in clear under one scope.
    public struct Scope: Sendable {
        /// The stream whose data key seals them.
        public let scope: StreamID
        /// Claim names and values.
        public let claims: Object
    }

    /// One event. What the ledger adds (index, chain, time, numbers, commitments) is still missing.
    public struct Event: Sendable {
        /// One of the catalogue, which streams, body and claims were checked against.
        public let type: EventType
        /// What tells the event from others of its submitter.
        public let request: RequestKey
        /// Who did what it records.
        public let actor: Actor
        /// In `streams`; in text order, each once.
        public let streams: Range<Int>
        /// What it records in clear, for good.
        public let body: Object
        /// In `scopes`; in scope order.
        public let scopes: Range<Int>
        /// The smallest index the event's entry may have: the body cites nothing that comes after it.
        public let earliestIndex: UInt64
    }

    /// The canonical texts of all bodies and claims.
    public internal(set) var text: [UInt8] = []
    /// The members of all bodies and claims, each object's in the order of its text; their places are in `text`.
    public internal(set) var members: [JSONObjectText.Member] = []
    /// The streams of all events.
    public internal(set) var streams: [StreamID] = []
    /// The scopes of all events.
    public internal(set) var scopes: [Scope] = []
    /// In the order of the call.
    public internal(set) var events: [Event] = []

    /// No events.
    public init() {}

    /// Events that were checked one by one, in this order.
    public init(_ submissions: [Submission]) {
        for submission in submissions { append(submission) }
    }

    /// How many events there are.
    public var count: Int { events.count }

    /// One of the events as a value of its own.
    public subscript(position: Int) -> Submission { Submission(self, events[position]) }

    /// Adds an event that was checked.
    public mutating func append(_ submission: Submission) {
        let event = submission.event
        let source = submission.source
        let firstStream = streams.count
        streams.append(contentsOf: source.streams[event.streams])
        let body = copy(event.body, of: source)
        let firstScope = scopes.count
        for scope in source.scopes[event.scopes] {
            scopes.append(Scope(scope: scope.scope, claims: copy(scope.claims, of: source)))
        }
        events.append(
            Event(
                type: event.type,
                request: event.request,
                actor: event.actor,
                streams: firstStream..<streams.count,
                body: body,
                scopes: firstScope..<scopes.count,
                earliestIndex: event.earliestIndex
            )
        )
    }

    private mutating func copy(_ object: Object, of source: Submissions) -> Object {
        let distance = text.count - object.text.lowerBound
        let first = members.count
        text.append(contentsOf: source.text[object.text])
        for member in source.members[object.members] { members.append(member.moved(by: distance)) }
        return Object(
            text: object.text.lowerBound + distance..<object.text.upperBound + distance,
            members: first..<members.count
        )
    }

    /// Whether two events ask for the same to be recorded.
    public func isSame(_ left: Event, _ right: Event) -> Bool { Submissions.isSame(left, of: self, right, of: self) }

    static func isSame(_ left: Event, of one: Submissions, _ right: Event, of other: Submissions) -> Bool {
        func isSame(_ left: Object, _ right: Object) -> Bool { one.text[left.text] == other.text[right.text] }
        return left.type === right.type && left.request == right.request && left.actor == right.actor
            && one.streams[left.streams] == other.streams[right.streams] && isSame(left.body, right.body)
            && one.scopes[left.scopes].elementsEqual(other.scopes[right.scopes]) { left, right in
                left.scope == right.scope && isSame(left.claims, right.claims)
            }
    }

    /// Whether a text is that of an object.
    public func isSame(_ object: Object, _ text: JSONObjectText) -> Bool { self.text[object.text] == text.bytes[...] }

    /// An object as a value of its own.
    public func objectText(_ object: Object) -> JSONObjectText {
        JSONObjectText(copying: text, object.text, members[object.members])
    }

    // MARK: Checking

    /// Checks the event that was added last to the buffers against its type and the format's limits, and adds it to the
    /// events. Its streams and scopes are put into order.
    ///
    /// - Throws: `EventError` naming the field and the rule; claim values are never repeated in it.
    mutating func finish(
        _ type: EventType,
        _ request: RequestKey,
        _ actor: Actor,
        streams first: Int,
        body: Object,
        scopes firstScope: Int
    ) throws(EventError) {
        let names = first..<streams.count
        guard 1...FormatLimits.streamsPerEvent ~= names.count else {
            throw EventError(field: "streams", rule: "must hold 1 to \(FormatLimits.streamsPerEvent) streams")
        }
        Submissions.sort(&streams, names) { $0 < $1 }
        for position in names.dropFirst() where streams[position - 1] == streams[position] {
            throw EventError(field: "streams", rule: "must name each stream once")
        }
        let parts = firstScope..<scopes.count
        var count = 0
        for scope in scopes[parts] { count += scope.claims.members.count }
        guard count <= FormatLimits.claimsPerEvent else {
            throw EventError(field: "claims", rule: "must be at most \(FormatLimits.claimsPerEvent)")
        }
        for scope in scopes[parts] {
            guard !scope.claims.members.isEmpty else {
                throw EventError(field: "claims", rule: "must hold at least one claim under each scope")
            }
            for claim in members[scope.claims.members] where claim.value.count > FormatLimits.claimValueBytes {
                throw EventError(
                    field: "claims.\(JSONObjectText.name(of: claim, in: text))",
                    rule: "must be at most \(FormatLimits.claimValueBytes) bytes of canonical JSON"
                )
            }
        }
        try type.check(self, streams: names, body: body, scopes: parts)
        Submissions.sort(&scopes, parts) { $0.scope < $1.scope }
        events.append(
            Event(
                type: type,
                request: request,
                actor: actor,
                streams: names,
                body: body,
                scopes: parts,
                earliestIndex: type.earliestIndex(text.span, members.span.extracting(body.members))
            )
        )
    }

    /// Most lists have one element or are in order already.
    private static func sort<Element>(
        _ elements: inout [Element],
        _ range: Range<Int>,
        _ precedes: (Element, Element) -> Bool
    ) {
        for position in range.dropFirst() where !precedes(elements[position - 1], elements[position]) {
            elements[range].sort(by: precedes)
            return
        }
    }
}
