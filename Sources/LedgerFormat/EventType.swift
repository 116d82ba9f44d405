import JSON

/// One field of an event type's body or claims.
public struct Field: Sendable, Equatable {
    /// Lower case with underscores.
    public let name: String
    public let rule: FieldRule
    public let required: Bool
    /// The name's bytes: every event is compared with them.
    let key: [UInt8]

    private init(_ name: String, _ rule: FieldRule, required: Bool) {
        self.name = name
        self.rule = rule
        self.required = required
        key = Array(name.utf8)
    }

    static func required(_ name: String, _ rule: FieldRule) -> Field { Field(name, rule, required: true) }

    static func optional(_ name: String, _ rule: FieldRule) -> Field { Field(name, rule, required: false) }
}

/// An event type of the closed registry: what it means and what it must carry.
public final class EventType: Sendable {
    /// `domain.verb`.
    public let name: String
    /// The name's bytes.
    let key: [UInt8]
    /// The part of the name before the dot.
    public let domain: String
    /// Whether only the daemon itself records events of the type.
    public let isReserved: Bool
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
        key = Array(name.utf8)
        domain = String(Substring(name.utf8.prefix { $0 != UInt8(ascii: ".") }))
        isReserved = EventCatalogue.reservedDomains.contains(domain)
        self.summary = summary
        self.summaryZH = summaryZH
        requiredStreams = streams
        self.body = body
        self.claims = claims
    }

    /// Checks an event of this type.
    ///
    /// - Throws: `EventError` naming the first field that breaks a rule.
    func check(
        body text: JSONObjectText,
        streams: [StreamID],
        claims scopes: [Submission.Scope]
    ) throws(EventError) {
        for kind in requiredStreams where !streams.contains(where: { $0.kind == kind }) {
            throw EventError(field: "streams", rule: "must name a \(kind.rawValue) stream")
        }
        try check(body: text)
        for (position, scope) in scopes.enumerated() {
            guard streams.contains(scope.scope) else {
                throw EventError(field: "claims", rule: "must lie under scopes that are among the event's streams")
            }
            for member in scope.claims.members {
                let name = scope.claims.bytes[member.name]
                for other in scopes[..<position] {
                    guard !other.claims.members.contains(where: { other.claims.bytes[$0.name] == name }) else {
                        let name = scope.claims.name(of: member)
                        throw EventError(field: "claims.\(name)", rule: "must occur under one scope only")
                    }
                }
            }
            try EventType.checkValues(scope.claims, claims, "claims")
        }
        for field in claims where field.required {
            guard scopes.contains(where: { $0.claims.has(field.key) }) else {
                throw EventError(field: "claims.\(field.name)", rule: "must be given")
            }
        }
    }

    /// Checks a body of this type.
    ///
    /// - Throws: `EventError` naming the first field that breaks a rule.
    func check(body text: JSONObjectText) throws(EventError) {
        try EventType.check(text, body, "body")
    }

    private static func check(_ text: JSONObjectText, _ fields: [Field], _ place: String) throws(EventError) {
        try checkValues(text, fields, place)
        for field in fields where field.required && !text.has(field.key) {
            throw EventError(field: "\(place).\(field.name)", rule: "must be given")
        }
    }

    /// Checks that the members are fields of the type and keep their rules.
    private static func checkValues(
        _ text: JSONObjectText,
        _ fields: [Field],
        _ place: String
    ) throws(EventError) {
        let bytes = text.bytes.span
        for member in text.members {
            let name = bytes.extracting(member.name)
            guard let position = fields.firstIndex(where: { $0.key.span.isSame(as: name) }) else {
                // The name is the caller's, so it is repeated only where it can't carry anything personal.
                let known =
                    member.name.count <= 64 && text.bytes[member.name].allSatisfy { 0x61...0x7A ~= $0 || $0 == 0x5F }
                throw EventError(
                    field: known && place == "body" ? "\(place).\(text.name(of: member))" : place,
                    rule: "must hold only the fields of the type"
                )
            }
            guard fields[position].rule.allows(canonical: bytes.extracting(member.value)) else {
                let field = fields[position]
                throw EventError(field: "\(place).\(field.name)", rule: "must be \(field.rule.summary)")
            }
        }
    }
}

extension JSONObjectText {
    /// Whether there is a member of this name, which needs no escapes.
    func has(_ name: [UInt8]) -> Bool {
        let span = bytes.span
        for member in members where name.span.isSame(as: span.extracting(member.name)) { return true }
        return false
    }
}

extension EventType {
    /// The first rule of its type an entry breaks, as far as it shows without the claims' values; nil where none.
    public func contradiction(_ entry: Entry) -> String? {
        for kind in requiredStreams where !entry.streams.contains(where: { $0.stream.kind == kind }) {
            return "names no \(kind.rawValue) stream"
        }
        do {
            try check(body: entry.body)
            // Which of its fields this type has depends on one of them.
            if key.elementsEqual("system.recovered".utf8) { _ = try Recovery(entry) }
        } catch {
            return "\(error.field) \(error.rule)"
        }
        for scope in entry.claims {
            for claim in scope.claims where !claims.contains(where: { $0.name.utf8.elementsEqual(claim.name.utf8) }) {
                return "has a claim \(claim.name) its type does not know"
            }
        }
        for field in claims where field.required {
            guard entry.claims.contains(where: { $0.claims.contains { $0.name == field.name } }) else {
                return "has no claim \(field.name)"
            }
        }
        return nil
    }
}
