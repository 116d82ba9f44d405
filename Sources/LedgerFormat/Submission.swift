public import JSON

/// One event that a submitter asks the ledger to record, checked against its type; everything the ledger adds (index,
/// chain, time, numbers, commitments) is still missing.
public struct Submission: Equatable, Sendable {
    /// Claims in clear under one scope.
    public struct Scope: Equatable, Sendable {
        /// The stream whose data key seals them.
        public let scope: StreamID
        /// Claim names and values.
        public let claims: JSONObjectText

        public init(scope: StreamID, claims: JSONObjectText) {
            self.scope = scope
            self.claims = claims
        }
    }

    /// Where the event's parts stand.
    let source: Submissions
    let event: Submissions.Event

    init(_ source: Submissions, _ event: Submissions.Event) {
        self.source = source
        self.event = event
    }

    /// Checks an event against its type and the format's limits.
    ///
    /// - Parameters:
    ///   - streams: in any order.
    ///   - claims: in any order of the scopes.
    /// - Throws: `EventError` naming the field and the rule; claim values are never repeated in it.
    public init(
        type: EventType,
        request: RequestKey,
        actor: Actor,
        streams: [StreamID],
        body: JSONObjectText,
        claims: [Scope]
    ) throws(EventError) {
        var source = Submissions()
        source.streams = streams
        let body = source.add(body)
        for scope in claims {
            source.scopes.append(Submissions.Scope(scope: scope.scope, claims: source.add(scope.claims)))
        }
        try source.finish(type, request, actor, streams: 0, body: body, scopes: 0)
        self.init(source, source.events[0])
    }

    /// Reads one event as the protocol's `Event` type carries it.
    ///
    /// - Throws: `EventError` naming the field and the rule it breaks.
    public init(reading reader: inout JSONReader) throws(EventError) {
        var source = Submissions()
        try source.append(reading: &reader)
        self.init(source, source.events[0])
    }

    /// One of the catalogue.
    public var type: EventType { event.type }
    /// What tells the event from others of its submitter.
    public var request: RequestKey { event.request }
    /// Who did what it records.
    public var actor: Actor { event.actor }
    /// In text order, each once.
    public var streams: [StreamID] { Array(source.streams[event.streams]) }
    /// What it records in clear.
    public var body: JSONObjectText { source.objectText(event.body) }
    /// In scope order.
    public var claims: [Scope] {
        source.scopes[event.scopes].map { Scope(scope: $0.scope, claims: source.objectText($0.claims)) }
    }

    /// Whether both ask for the same to be recorded.
    public static func == (left: Submission, right: Submission) -> Bool {
        Submissions.isSame(left.event, of: left.source, right.event, of: right.source)
    }
}

extension Submissions {
    /// Adds an object's text and members.
    fileprivate mutating func add(_ object: JSONObjectText) -> Object {
        let start = text.count
        let first = members.count
        text.append(contentsOf: object.bytes)
        for member in object.members { members.append(member.moved(by: start)) }
        return Object(text: start..<text.count, members: first..<members.count)
    }
}
