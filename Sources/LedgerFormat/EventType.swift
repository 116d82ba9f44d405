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

    /// Checks an event of this type, whose parts stand at these places.
    ///
    /// - Throws: `EventError` naming the first field that breaks a rule.
    func check(
        _ source: Submissions,
        streams: Range<Int>,
        body: Submissions.Object,
        scopes: Range<Int>
    ) throws(EventError) {
        for kind in requiredStreams where !source.streams[streams].contains(where: { $0.kind == kind }) {
            throw EventError(field: "streams", rule: "must name a \(kind.rawValue) stream")
        }
        let text = source.text.span
        let members = source.members.span
        try EventType.check(text, members.extracting(body.members), self.body, "body")
        for position in scopes {
            let scope = source.scopes[position]
            guard source.streams[streams].contains(scope.scope) else {
                throw EventError(field: "claims", rule: "must lie under scopes that are among the event's streams")
            }
            let own = members.extracting(scope.claims.members)
            for place in own.indices {
                let name = text.extracting(own[place].name)
                for other in scopes.lowerBound..<position {
                    let others = members.extracting(source.scopes[other].claims.members)
                    guard !EventType.has(text, others, name) else {
                        let name = JSONObjectText.name(of: own[place], in: source.text)
                        throw EventError(field: "claims.\(name)", rule: "must occur under one scope only")
                    }
                }
            }
            try EventType.checkValues(text, own, claims, "claims")
        }
        for field in claims where field.required {
            var isGiven = false
            for position in scopes {
                let own = members.extracting(source.scopes[position].claims.members)
                isGiven = isGiven || EventType.has(text, own, field.key.span)
            }
            guard isGiven else { throw EventError(field: "claims.\(field.name)", rule: "must be given") }
        }
    }

    /// Checks a body of this type.
    ///
    /// - Throws: `EventError` naming the first field that breaks a rule.
    func check(body text: JSONObjectText) throws(EventError) {
        try EventType.check(text.bytes.span, text.members.span, body, "body")
    }

    private static func check(
        _ text: Span<UInt8>,
        _ members: Span<JSONObjectText.Member>,
        _ fields: [Field],
        _ place: String
    ) throws(EventError) {
        try checkValues(text, members, fields, place)
        for field in fields where field.required && !has(text, members, field.key.span) {
            throw EventError(field: "\(place).\(field.name)", rule: "must be given")
        }
    }

    /// Checks that the members are fields of the type and keep their rules.
    private static func checkValues(
        _ text: Span<UInt8>,
        _ members: Span<JSONObjectText.Member>,
        _ fields: [Field],
        _ place: String
    ) throws(EventError) {
        for position in members.indices {
            let name = text.extracting(members[position].name)
            guard let known = fields.firstIndex(where: { $0.key.span.isSame(as: name) }) else {
                throw EventError(
                    field: place == "body" && isHarmless(name) ? "\(place).\(String(copying: name))" : place,
                    rule: "must hold only the fields of the type"
                )
            }
            guard fields[known].rule.allows(canonical: text.extracting(members[position].value)) else {
                let field = fields[known]
                throw EventError(field: "\(place).\(field.name)", rule: "must be \(field.rule.summary)")
            }
        }
    }

    /// Whether a name may be repeated in an error: it is the caller's, and must not carry anything personal.
    private static func isHarmless(_ name: Span<UInt8>) -> Bool {
        guard name.count <= 64 else { return false }
        for position in name.indices where !(0x61...0x7A ~= name[position] || name[position] == 0x5F) { return false }
        return true
    }

    /// Whether there is a member of this name, which needs no escapes.
    private static func has(
        _ text: Span<UInt8>,
        _ members: Span<JSONObjectText.Member>,
        _ name: Span<UInt8>
    ) -> Bool {
        for position in members.indices where name.isSame(as: text.extracting(members[position].name)) { return true }
        return false
    }
}

extension String {
    /// The text these bytes are.
    fileprivate init(copying text: Span<UInt8>) {
        self = text.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
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
