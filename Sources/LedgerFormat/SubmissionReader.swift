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
        var unknown: String?
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in
                switch name {
                case "type": type = .some(try reader.string { EventCatalogue.type(utf8: $0) })
                case "request": request = .some(try reader.string { RequestKey(utf8: $0) })
                case "actor": actor = .some(try reader.string { Actor(utf8: $0) })
                case "streams":
                    var ids: [StreamID] = []
                    try reader.array { (reader) throws(JSONError) in
                        if let id = try reader.string({ StreamID(utf8: $0) }) {
                            ids.append(id)
                        } else {
                            hasMalformedStream = true
                        }
                    }
                    streams = ids
                case "body": if try !reader.null() { body = try reader.objectText() }
                case "claims":
                    guard try !reader.null() else { return }
                    try reader.object { (name, reader) throws(JSONError) in
                        guard let scope = StreamID(utf8: name.utf8.span), try reader.isBeforeObject() else {
                            hasMalformedScope = true
                            _ = try reader.skip()
                            return
                        }
                        scopes.append(Scope(scope: scope, claims: try reader.objectText()))
                    }
                default:
                    unknown = unknown ?? name
                    _ = try reader.skip()
                }
            }
        } catch {
            throw EventError(field: "event", rule: "must be a JSON object as declared: \(error)")
        }
        if unknown != nil {
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
}
