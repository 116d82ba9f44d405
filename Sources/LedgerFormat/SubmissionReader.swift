public import JSON

extension Submission {
    /// Reads one event as the protocol's `Event` type carries it.
    ///
    /// - Throws: `EventError` naming the field and the rule it breaks.
    public init(reading reader: inout JSONReader) throws(EventError) {
        var type: String?
        var request: String?
        var actor: String?
        var streams: [String]?
        var body: [JSONMember] = []
        var claims: [JSONMember] = []
        var unknown: String?
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in
                switch name {
                case "type": type = try reader.string()
                case "request": request = try reader.string()
                case "actor": actor = try reader.string()
                case "streams":
                    var texts: [String] = []
                    try reader.array { (reader) throws(JSONError) in texts.append(try reader.string()) }
                    streams = texts
                case "body": body = try Submission.members(&reader)
                case "claims": claims = try Submission.members(&reader)
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
        guard let eventType = EventCatalogue.type(named: type) else {
            throw EventError(field: "type", rule: "must be a type of the event catalogue")
        }
        guard let key = request.flatMap({ RequestKey($0) }) else {
            throw EventError(field: "request", rule: "must be a lower-case UUID")
        }
        guard let party = actor.flatMap({ Actor($0) }) else {
            throw EventError(field: "actor", rule: "must be system, subject/ID, staff/ID or vendor/ID")
        }
        guard let streams else { throw EventError(field: "streams", rule: "must be given") }
        var streamIDs: [StreamID] = []
        for text in streams {
            guard let stream = StreamID(text) else {
                throw EventError(field: "streams", rule: "must hold kind/ID with 32 lower-case hex digits")
            }
            streamIDs.append(stream)
        }
        var scopes: [Scope] = []
        for member in claims {
            guard let scope = StreamID(member.name), let values = member.value.object else {
                throw EventError(field: "claims", rule: "must map scopes, each a stream, to objects of claims")
            }
            scopes.append(Scope(scope: scope, claims: values))
        }
        try self.init(
            type: eventType,
            request: key,
            actor: party,
            streams: streamIDs,
            body: body,
            claims: scopes
        )
    }

    private static func members(_ reader: inout JSONReader) throws(JSONError) -> [JSONMember] {
        if try reader.null() { return [] }
        let start = reader.position
        guard let members = try reader.value().object else { throw JSONError(.wrongType, at: start) }
        return members
    }
}
