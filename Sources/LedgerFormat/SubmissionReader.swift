public import JSON

extension Submission {
    /// Reads one event as the protocol's `Event` type carries it.
    ///
    /// - Throws: `EventError` naming the field and the rule it breaks.
    public init(reading reader: inout JSONReader) throws(EventError) {
        var type: EventType??
        var request: RequestKey??
        var actor: Actor??
        var streams: [StreamID]?
        var hasMalformedStream = false
        var body = JSONObjectText.empty
        var scopes: [Scope] = []
        var hasMalformedScope = false
        var isKnown = true
        var seen = Members()
        do throws(JSONError) {
            try reader.beginObject()
            while let name = try reader.nextName() {
                let start = reader.position
                guard let member = Members(name, reader) else {
                    isKnown = false
                    _ = try reader.skip()
                    continue
                }
                guard seen.isDisjoint(with: member) else { throw JSONError(.duplicateName, at: start) }
                seen.formUnion(member)
                switch member {
                case .type: type = .some(try reader.string { EventCatalogue.type(utf8: $0) })
                case .request: request = .some(try reader.string { RequestKey(utf8: $0) })
                case .actor: actor = .some(try reader.string { Actor(utf8: $0) })
                case .streams: streams = try Submission.streams(&reader, &hasMalformedStream)
                case .body: if try !reader.null() { body = try reader.objectText(limit: FormatLimits.entryBytes) }
                default: if try !reader.null() { scopes = try Submission.scopes(&reader, &hasMalformedScope) }
                }
            }
        } catch {
            throw EventError(field: "event", rule: "must be a JSON object as declared: \(error)")
        }
        guard isKnown else {
            throw EventError(
                field: "event",
                rule: "has a member other than type, request, actor, streams, body, claims"
            )
        }
        guard let type else { throw EventError(field: "type", rule: "must be given") }
        guard let eventType = type else {
            throw EventError(field: "type", rule: "must be a type of the event catalogue")
        }
        guard let key = request ?? nil else { throw EventError(field: "request", rule: "must be a lower-case UUID") }
        guard let party = actor ?? nil else {
            throw EventError(field: "actor", rule: "must be system, subject/ID, staff/ID or vendor/ID")
        }
        guard let streams else { throw EventError(field: "streams", rule: "must be given") }
        guard !hasMalformedStream else {
            throw EventError(field: "streams", rule: "must hold kind/ID with 32 lower-case hex digits")
        }
        guard !hasMalformedScope else {
            throw EventError(field: "claims", rule: "must map scopes, each a stream, to objects of claims")
        }
        try self.init(
            type: eventType,
            request: key,
            actor: party,
            streams: streams,
            body: body,
            claims: scopes
        )
    }

    /// The members of an event.
    fileprivate struct Members: OptionSet {
        let rawValue: UInt8
        static let type = Members(rawValue: 1)
        static let request = Members(rawValue: 2)
        static let actor = Members(rawValue: 4)
        static let streams = Members(rawValue: 8)
        static let body = Members(rawValue: 16)
        static let claims = Members(rawValue: 32)
    }

    private static func streams(
        _ reader: inout JSONReader,
        _ hasMalformedStream: inout Bool
    ) throws(JSONError) -> [StreamID] {
        var streams: [StreamID] = []
        try reader.beginArray()
        while try reader.nextElement() {
            if let id = try reader.string({ StreamID(utf8: $0) }) {
                streams.append(id)
            } else {
                hasMalformedStream = true
            }
        }
        return streams
    }

    private static func scopes(
        _ reader: inout JSONReader,
        _ hasMalformedScope: inout Bool
    ) throws(JSONError) -> [Scope] {
        var scopes: [Scope] = []
        try reader.beginObject()
        while let name = try reader.nextName() {
            let start = reader.position
            let stream = reader.withText(of: name) { StreamID(utf8: $0) }
            guard let stream, try reader.isBeforeObject() else {
                hasMalformedScope = true
                _ = try reader.skip()
                continue
            }
            guard !scopes.contains(where: { $0.scope == stream }) else { throw JSONError(.duplicateName, at: start) }
            let claims = try reader.objectText(limit: FormatLimits.entryBytes)
            // One more than there can be claims is enough to refuse them all.
            if scopes.count <= FormatLimits.claimsPerEvent { scopes.append(Scope(scope: stream, claims: claims)) }
        }
        return scopes
    }
}

extension Submission.Members {
    /// The member of this name; nil where an event has none such.
    fileprivate init?(_ name: JSONReader.Name, _ reader: JSONReader) {
        if reader.isName(name, "type") {
            self = .type
        } else if reader.isName(name, "request") {
            self = .request
        } else if reader.isName(name, "actor") {
            self = .actor
        } else if reader.isName(name, "streams") {
            self = .streams
        } else if reader.isName(name, "body") {
            self = .body
        } else if reader.isName(name, "claims") {
            self = .claims
        } else {
            return nil
        }
    }
}
