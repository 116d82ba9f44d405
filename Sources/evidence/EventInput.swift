import ArgumentParser
import JSON
import LedgerFormat

/// Events from JSON text: one object, one array of objects, or objects one after another.
enum EventInput {
    static func read(_ bytes: [UInt8], name: String) throws -> [JSONValue] {
        var reader = JSONReader(bytes)
        var events: [JSONValue] = []
        while !isAtEnd(reader) {
            let value: JSONValue
            do {
                value = try reader.value()
            } catch {
                throw Failure(.usage, "\(name): \(error)")
            }
            events += value.array ?? [value]
        }
        guard !events.isEmpty else { throw Failure(.usage, "\(name) holds no event") }
        for (position, event) in events.enumerated() where event.object == nil {
            throw Failure(.usage, "\(name): event \(position) must be a JSON object")
        }
        return events
    }

    /// The event with a fresh request key where it has none.
    static func withRequest(_ event: JSONValue, fixed: String?) -> JSONValue {
        guard case .object(var members) = event, event["request"] == nil else { return event }
        members.append(JSONMember(name: "request", value: .string(fixed ?? UUIDv7.next().description)))
        return .object(members)
    }

    private static func isAtEnd(_ reader: JSONReader) -> Bool {
        var probe = reader
        return (try? probe.finish()) != nil
    }
}

/// One event put together on the command line.
struct EventFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The event's type, such as consent.granted.", valueName: "name"))
    var type: String?

    @Option(help: ArgumentHelp("Who acted: system, or subject/ID, staff/ID, vendor/ID.", valueName: "actor"))
    var actor: String?

    @Option(
        name: .customLong("stream"),
        help: ArgumentHelp(
            "A stream the event belongs to, such as subject/ID. Give it once for each.",
            valueName: "kind/id"
        )
    )
    var streams: [String] = []

    @Option(
        help: ArgumentHelp(
            "A public field. Give it once for each; lists are written with commas.",
            valueName: "name=value"
        )
    )
    var body: [String] = []

    @Option(
        name: .customLong("claim"),
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Fields that may identify a person: the scope whose erasure destroys them, then NAME=VALUE for each.",
            valueName: "scope name=value"
        )
    )
    var claims: [String] = []

    /// The event, or nil where no flag of it was given.
    func event() throws -> JSONValue? {
        guard let type else {
            guard actor == nil, streams.isEmpty, body.isEmpty, claims.isEmpty else {
                throw Failure(.usage, "--actor, --stream, --body and --claim need --type")
            }
            return nil
        }
        guard let eventType = EventCatalogue.type(named: type) else {
            throw Failure(.usage, "--type: \(type) is not in the catalogue (see: evidence catalogue)")
        }
        guard let actor else { throw Failure(.usage, "--actor must be given with --type") }
        let fields = try body.map { text in
            let (name, value) = try EventFlags.split(text, option: "--body")
            return JSONMember(name: name, value: EventFlags.value(value, rule: eventType.rule(body: name)))
        }
        return .members([
            "type": .string(type), "actor": .string(actor), "streams": .array(streams.map { .string($0) }),
            "body": .object(fields), "claims": .object(try scopes(eventType)),
        ])
    }

    private func scopes(_ type: EventType) throws -> [JSONMember] {
        var scopes: [JSONMember] = []
        for word in claims {
            if !word.contains("=") {
                if !scopes.contains(where: { $0.name == word }) {
                    scopes.append(JSONMember(name: word, value: .object([])))
                } else {
                    // The scope comes up again: its claims go on where they were.
                    let position = scopes.firstIndex { $0.name == word } ?? 0
                    scopes.append(scopes.remove(at: position))
                }
                continue
            }
            guard let last = scopes.popLast() else {
                throw Failure(.usage, "--claim must begin with the scope, such as subject/ID, before NAME=VALUE")
            }
            let (name, value) = try EventFlags.split(word, option: "--claim")
            let member = JSONMember(name: name, value: EventFlags.value(value, rule: type.rule(claim: name)))
            scopes.append(JSONMember(name: last.name, value: .object((last.value.object ?? []) + [member])))
        }
        return scopes
    }

    private static func split(_ text: String, option: String) throws -> (name: String, value: String) {
        guard let equals = text.firstIndex(of: "=") else {
            throw Failure(.usage, "\(option) must be NAME=VALUE")
        }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    /// The value in the type its rule asks for. What doesn't fit stays text, and the ledger says what is wrong with it.
    static func value(_ text: String, rule: FieldRule?) -> JSONValue {
        switch rule {
        case .integer, .index: return Int64(text).map { .int($0) } ?? .string(text)
        case .boolean: return ["true": .bool(true), "false": .bool(false)][text] ?? .string(text)
        case .codes, .streamList: return .array(text.split(separator: ",").map { .string(String($0)) })
        case .indexes:
            return .array(
                text.split(separator: ",").map { word in Int64(word).map { .int($0) } ?? .string(String(word)) }
            )
        default: return .string(text)
        }
    }
}

extension EventType {
    fileprivate func rule(body name: String) -> FieldRule? { body.first { $0.name == name }?.rule }
    fileprivate func rule(claim name: String) -> FieldRule? { claims.first { $0.name == name }?.rule }
}
