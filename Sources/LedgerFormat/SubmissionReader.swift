public import JSON

extension Submissions {
    /// Reads one event as the protocol's `Event` type carries it, and adds it.
    ///
    /// - Throws: `EventError` naming the field and the rule it breaks. What was read of the event then stays in the
    ///   buffers, but no event names it.
    public mutating func append(reading reader: inout JSONReader) throws(EventError) {
        var type: EventType??
        var request: RequestKey??
        var actor: Actor??
        let firstStream = streams.count
        var hasMalformedStream = false
        var body: Object?
        let firstScope = scopes.count
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
                case .streams: try readStreams(&reader, &hasMalformedStream)
                case .body: if try !reader.null() { body = try readObject(&reader) }
                default: if try !reader.null() { try readScopes(&reader, &hasMalformedScope) }
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
        guard seen.contains(.streams) else { throw EventError(field: "streams", rule: "must be given") }
        guard !hasMalformedStream else {
            throw EventError(field: "streams", rule: "must hold kind/ID with 32 lower-case hex digits")
        }
        guard !hasMalformedScope else {
            throw EventError(field: "claims", rule: "must map scopes, each a stream, to objects of claims")
        }
        try finish(
            eventType,
            key,
            party,
            streams: firstStream,
            body: body ?? emptyObject(),
            scopes: firstScope
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

    private mutating func readStreams(
        _ reader: inout JSONReader,
        _ hasMalformedStream: inout Bool
    ) throws(JSONError) {
        let first = streams.count
        try reader.beginArray()
        while try reader.nextElement() {
            guard let id = try reader.string({ StreamID(utf8: $0) }) else {
                hasMalformedStream = true
                continue
            }
            // One more than there can be is enough to refuse them all.
            if streams.count - first <= FormatLimits.streamsPerEvent { streams.append(id) }
        }
    }

    private mutating func readScopes(
        _ reader: inout JSONReader,
        _ hasMalformedScope: inout Bool
    ) throws(JSONError) {
        let first = scopes.count
        try reader.beginObject()
        while let name = try reader.nextName() {
            let start = reader.position
            let stream = reader.withText(of: name) { StreamID(utf8: $0) }
            guard let stream, try reader.isBeforeObject() else {
                hasMalformedScope = true
                _ = try reader.skip()
                continue
            }
            guard !scopes[first...].contains(where: { $0.scope == stream }) else {
                throw JSONError(.duplicateName, at: start)
            }
            // One more than there can be claims is enough to refuse them all.
            if scopes.count - first <= FormatLimits.claimsPerEvent {
                scopes.append(Scope(scope: stream, claims: try readObject(&reader)))
            } else {
                _ = try reader.skip()
            }
        }
    }

    private mutating func readObject(_ reader: inout JSONReader) throws(JSONError) -> Object {
        let start = text.count
        let first = members.count
        try reader.objectText(limit: FormatLimits.entryBytes, into: &text, &members)
        return Object(text: start..<text.count, members: first..<members.count)
    }

    private mutating func emptyObject() -> Object {
        text.append(contentsOf: "{}".utf8)
        return Object(text: text.count - 2..<text.count, members: members.count..<members.count)
    }
}

extension Submissions.Members {
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
