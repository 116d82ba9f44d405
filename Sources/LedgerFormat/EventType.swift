public import JSON

/// One field of an event type's body or claims.
public struct Field: Sendable, Equatable {
    /// Lower case with underscores.
    public let name: String
    public let rule: FieldRule
    public let required: Bool

    static func required(_ name: String, _ rule: FieldRule) -> Field {
        Field(name: name, rule: rule, required: true)
    }

    static func optional(_ name: String, _ rule: FieldRule) -> Field {
        Field(name: name, rule: rule, required: false)
    }
}

/// An event type of the closed registry: what it means and what it must carry.
public struct EventType: Sendable, Equatable {
    /// `domain.verb`.
    public let name: String
    public let summary: String
    /// The summary in Chinese, for what a court reads.
    public let summaryZH: String
    /// Kinds of stream of which the event must name at least one each.
    public let requiredStreams: [StreamKind]
    /// Public fields, in the entry for ever. They never identify a person.
    public let body: [Field]
    /// Fields that may identify a person; the entry holds their commitments.
    public let claims: [Field]

    init(
        _ name: String,
        _ summary: String,
        _ summaryZH: String,
        streams: [StreamKind],
        body: [Field] = [],
        claims: [Field] = []
    ) {
        self.name = name
        self.summary = summary
        self.summaryZH = summaryZH
        requiredStreams = streams
        self.body = body
        self.claims = claims
    }

    /// The part of the name before the dot.
    public var domain: Substring { name.prefix { $0 != "." } }

    /// Checks an event of this type.
    ///
    /// - Throws: `EventError` naming the first field that breaks a rule.
    public func check(
        body members: [JSONMember],
        streams: [StreamID],
        claims scopes: [(scope: StreamID, members: [JSONMember])]
    ) throws(EventError) {
        for kind in requiredStreams where !streams.contains(where: { $0.kind == kind }) {
            throw EventError(field: "streams", rule: "must name a \(kind.rawValue) stream")
        }
        try EventType.check(members, body, "body")
        var all: [JSONMember] = []
        for scope in scopes {
            guard streams.contains(scope.scope) else {
                throw EventError(field: "claims", rule: "must lie under scopes that are among the event's streams")
            }
            for member in scope.members {
                guard !all.contains(where: { $0.name == member.name }) else {
                    throw EventError(field: "claims.\(member.name)", rule: "must occur under one scope only")
                }
                all.append(member)
            }
        }
        try EventType.check(all, claims, "claims")
    }

    private static func check(_ members: [JSONMember], _ fields: [Field], _ place: String) throws(EventError) {
        for member in members {
            guard let field = fields.first(where: { $0.name == member.name }) else {
                // The name is the caller's, so it is repeated only where it can't carry anything personal.
                let known =
                    member.name.utf8.count <= 64 && member.name.utf8.allSatisfy { 0x61...0x7A ~= $0 || $0 == 0x5F }
                throw EventError(
                    field: known && place == "body" ? "\(place).\(member.name)" : place,
                    rule: "must hold only the fields of the type"
                )
            }
            guard field.rule.allows(member.value) else {
                throw EventError(field: "\(place).\(field.name)", rule: "must be \(field.rule.summary)")
            }
        }
        for field in fields where field.required && !members.contains(where: { $0.name == field.name }) {
            throw EventError(field: "\(place).\(field.name)", rule: "must be given")
        }
    }
}

extension EventType {
    /// The first rule of its type an entry breaks, as far as it shows without the claims' values; nil where none.
    public func contradiction(_ entry: Entry) -> String? {
        for kind in requiredStreams where !entry.streams.contains(where: { $0.stream.kind == kind }) {
            return "names no \(kind.rawValue) stream"
        }
        do {
            try EventType.check(entry.body, body, "body")
        } catch {
            return "\(error.field) \(error.rule)"
        }
        let names = entry.claims.flatMap { $0.claims.map(\.name) }
        for scope in entry.claims where !entry.streams.contains(where: { $0.stream == scope.scope }) {
            return "has claims under a scope that is not among its streams"
        }
        if let unknown = names.first(where: { name in !claims.contains { $0.name == name } }) {
            return "has a claim \(unknown) its type does not know"
        }
        if Set(names).count != names.count { return "has a claim under two scopes" }
        if let missing = claims.first(where: { $0.required && !names.contains($0.name) }) {
            return "has no claim \(missing.name)"
        }
        return nil
    }
}
