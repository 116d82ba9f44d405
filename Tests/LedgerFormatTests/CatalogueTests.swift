import JSON
import Testing

@testable import LedgerFormat

@Suite("The event catalogue")
struct CatalogueTests {
    /// Every domain with its verbs, spelled out: a type that disappears breaks ledgers that hold it.
    static let verbs: KeyValuePairs = [
        "ledger": "created",
        "system": "started stopped clock_status clock_jumped build selfcheck recovered",
        "account": "registered credential_set credential_changed credential_compromised session_opened session_closed "
            + "closed restored",
        "identity": "verify_requested verified failed expired org_verified agent_authorised agent_revoked",
        "policy": "published notified accepted declined",
        "consent": "granted separate_granted withdrawn scope_changed",
        "purpose": "registered",
        "cert": "requested issued activated suspended revoked expired retention_ended",
        "evidence": "deposited sealed decrypted exported verified destroyed",
        "contract": "created sent viewed signed declined completed verified",
        "thirdparty": "asserted objected removed",
        "issuance": "requested accepted refused generated dispatched delivered",
        "disclosure": "requested made acknowledged refused",
        "transfer": "announced bound completed",
        "retention": "class_assigned hold_placed hold_released expired",
        "erasure": "requested party_approved executed refused partial",
        "request": "received identity_checked answered refused fee_charged escalated overdue",
        "minor": "flagged guardian_consented guardian_withdrew",
        "staff": "granted revoked access denied",
        "incident": "detected contained reported notified closed",
        "log": "device session contact",
        "service": "shutdown_announced intake_stopped read_only successor_named",
        "anchor": "checkpoint timestamped evidence_record renewed witnessed",
        "key": "created rotated retired compromised destroyed",
    ]

    @Test("holds exactly the types of the format")
    func isComplete() {
        let names = CatalogueTests.verbs.flatMap { domain, verbs in
            verbs.split(separator: " ").map { "\(domain).\($0)" }
        }
        #expect(Set(EventCatalogue.all.map(\.name)) == Set(names))
        #expect(EventCatalogue.all.count == names.count)
        for type in EventCatalogue.all {
            #expect(EventCatalogue.type(named: type.name) === type)
            #expect(type.name.hasPrefix(type.domain + "."))
            #expect(!type.summary.isEmpty && !type.summaryZH.isEmpty && !type.requiredStreams.isEmpty, "\(type.name)")
        }
        for name in ["", "ledger", "ledger.", "ledger.created ", "Ledger.created", "consent.revoked"] {
            #expect(EventCatalogue.type(named: name) == nil)
        }
    }

    @Test("keeps whatever may identify a person out of bodies")
    func bodiesHoldNoText() {
        let personal = ["name", "phone", "address", "email", "sha256", "sm3", "size", "file_name", "text"]
        for type in EventCatalogue.all {
            for field in type.body {
                if case .text = field.rule { Issue.record("\(type.name) has text in its body: \(field.name)") }
                // The daemon's own events speak of the sizes of trees, not of documents.
                let isTreeSize = field.name == "size" && type.isReserved
                #expect(!personal.contains(field.name) || isTreeSize, "\(type.name) \(field.name)")
            }
            for field in type.claims where EventCatalogue.digestClaims.contains(field.name) {
                #expect(field.rule == .digest, "\(type.name) \(field.name)")
            }
            for fields in [type.body, type.claims] {
                #expect(Set(fields.map(\.name)).count == fields.count, "\(type.name) names a field twice")
                for field in fields {
                    let isSnakeCase = field.name.utf8.allSatisfy {
                        0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x5F
                    }
                    #expect(isSnakeCase, "\(type.name) \(field.name)")
                }
            }
        }
    }

    @Test("accepts the smallest event of each type and refuses it with a part missing", arguments: EventCatalogue.all)
    func smallestEvents(type: EventType) throws {
        let smallest = TypedEvent(type)
        #expect(smallest.refusal() == nil)

        for kind in type.requiredStreams {
            var event = smallest
            event.streams.removeAll { $0.kind == kind }
            #expect(event.refusal()?.field == "streams", "without \(kind)")
        }
        for field in type.body where field.required {
            var event = smallest
            event.body.removeAll { $0.name == field.name }
            #expect(event.refusal() == EventError(field: "body.\(field.name)", rule: "must be given"))
        }
        for field in type.claims where field.required {
            var event = smallest
            event.claims.removeAll { $0.name == field.name }
            #expect(event.refusal() == EventError(field: "claims.\(field.name)", rule: "must be given"))
        }
        var event = smallest
        event.body.append(JSONMember(name: "surplus", value: .int(1)))
        #expect(event.refusal()?.field == "body.surplus")
        event = smallest
        event.claims.append(JSONMember(name: "surplus", value: .int(1)))
        #expect(event.refusal()?.field == "claims")
    }

    @Test("keeps every field to its rule", arguments: EventCatalogue.all)
    func everyRule(type: EventType) {
        for field in type.body {
            let samples = RuleSamples(field.rule)
            for value in samples.allowed {
                #expect(TypedEvent(type, body: field.name, value).refusal() == nil, "\(field.name) = \(value)")
            }
            for value in samples.refused {
                #expect(!field.rule.allows(value))
                // What no reader takes for JSON is in no event.
                let isReadable = value.int.map { JSONValue.maximumInteger >= $0.magnitude } ?? true
                #expect(
                    TypedEvent(type, body: field.name, value).refusal()
                        == (isReadable
                            ? EventError(field: "body.\(field.name)", rule: "must be \(field.rule.summary)")
                            : TypedEvent.unreadable),
                    "\(field.name) = \(value)"
                )
            }
        }
        for field in type.claims {
            let samples = RuleSamples(field.rule)
            for value in samples.allowed {
                #expect(TypedEvent(type, claim: field.name, value).refusal() == nil, "\(field.name) = \(value)")
            }
            for value in samples.refused {
                #expect(!field.rule.allows(value))
                let isReadable = value.int.map { JSONValue.maximumInteger >= $0.magnitude } ?? true
                #expect(
                    TypedEvent(type, claim: field.name, value).refusal()
                        == (isReadable
                            ? EventError(field: "claims.\(field.name)", rule: "must be \(field.rule.summary)")
                            : TypedEvent.unreadable),
                    "\(field.name) = \(value)"
                )
            }
        }
    }

    @Test("binds claims to the event's streams, each name once")
    func scopes() throws {
        let type = try #require(EventCatalogue.type(named: "evidence.deposited"))
        let event = TypedEvent(type)
        let own = try #require(event.streams.first)
        let other = try #require(StreamID("object/ffffffffffffffffffffffffffffffff"))

        func refusal(_ scopes: [(scope: StreamID, members: [JSONMember])], _ streams: [StreamID]) -> EventError? {
            refusalOf {
                _ = try Submission(
                    type: type,
                    request: RequestKey(value: ID128(high: 0, low: 0)),
                    actor: .system,
                    streams: streams,
                    body: JSONObjectText(event.body),
                    claims: scopes.filter { !$0.members.isEmpty }
                        .map { Submission.Scope(scope: $0.scope, claims: try JSONObjectText($0.members)) }
                )
            }
        }
        #expect(refusal([(own, event.claims)], [own, other]) == nil)
        #expect(refusal([(other, event.claims)], [own])?.field == "claims")
        #expect(refusal([(own, event.claims), (other, [event.claims[0]])], [own, other])?.field == "claims.sha256")
        #expect(refusal([(own, [event.claims[0]]), (other, Array(event.claims.dropFirst()))], [own, other]) == nil)
    }

    @Test("repeats no value and no name of a claim it refuses")
    func refusalsAreSilent() throws {
        let type = try #require(EventCatalogue.type(named: "evidence.deposited"))
        let secret = "ZhangSan13800138000"
        let refusals = [
            TypedEvent(type, claim: "sha256", .string(secret)).refusal(),
            TypedEvent(type, body: "product", .string(secret)).refusal(),
            TypedEvent(type, body: secret, .int(1)).refusal(),
            TypedEvent(type, claim: secret, .int(1)).refusal(),
        ]
        for refusal in refusals { #expect(try !#require(refusal).description.contains("138")) }
    }
}

/// An event that carries what its type requires, one field of it replaced or added if wanted.
private struct TypedEvent {
    let type: EventType
    var streams: [StreamID]
    var body: [JSONMember]
    var claims: [JSONMember]

    /// Stands for a refusal by the JSON reader.
    static let unreadable = EventError(field: "", rule: "must be JSON")

    init(_ type: EventType) {
        self.type = type
        streams = type.requiredStreams.map { StreamID(kind: $0, id: ID128(high: 1, low: 2)) }
        func members(_ fields: [Field]) -> [JSONMember] {
            fields.filter(\.required).map { JSONMember(name: $0.name, value: RuleSamples($0.rule).allowed[0]) }
        }
        body = members(type.body)
        claims = members(type.claims)
    }

    init(_ type: EventType, body name: String, _ value: JSONValue) {
        self.init(type)
        body.removeAll { $0.name == name }
        body.append(JSONMember(name: name, value: value))
    }

    init(_ type: EventType, claim name: String, _ value: JSONValue) {
        self.init(type)
        claims.removeAll { $0.name == name }
        claims.append(JSONMember(name: name, value: value))
    }

    /// Why the event is refused, or nil where it isn't. Claims lie under the first stream.
    func refusal() -> EventError? {
        refusalOf {
            _ = try Submission(
                type: type,
                request: RequestKey(value: ID128(high: 0, low: 0)),
                actor: .system,
                streams: streams,
                body: JSONObjectText(body),
                claims: claims.isEmpty || streams.isEmpty
                    ? [] : [Submission.Scope(scope: streams[0], claims: JSONObjectText(claims))]
            )
        }
    }
}

private func refusalOf(_ body: () throws -> Void) -> EventError? {
    do {
        try body()
        return nil
    } catch {
        return error is JSONError ? TypedEvent.unreadable : error as? EventError
    }
}
