import ArgumentParser
import JSON
import LedgerFormat

/// Events from JSON text: one object, one array of objects, or objects one after another.
enum EventInput {
    /// - Parameter name: what messages call the input.
    static func read(_ bytes: [UInt8], name: String) throws -> [JSONValue] {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw Failure(.usage, "\(name) is UTF-16: save it as UTF-8")
        }
        // Editors of one system mark UTF-8 so (RFC 8259 section 8.1 lets it be ignored).
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var reader = JSONReader(bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes)
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

    /// The events, each with a request key of the series where it has none.
    static func withRequests(_ events: [JSONValue], _ series: RequestSeries) -> [JSONValue] {
        events.enumerated().map { position, event in
            guard case .object(var members) = event, event["request"] == nil else { return event }
            members.append(JSONMember(name: "request", value: .string(series.request(position).description)))
            return .object(members)
        }
    }

    private static func isAtEnd(_ reader: JSONReader) -> Bool {
        var probe = reader
        return (try? probe.finish()) != nil
    }
}

/// One event put together on the command line.
struct EventFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp("The event's type, such as consent.granted.", valueName: "name"),
        transform: Arguments.text
    )
    var type: String?

    @Option(
        help: ArgumentHelp("Who acted: system, or subject/ID, staff/ID, vendor/ID.", valueName: "actor"),
        transform: Arguments.text
    )
    var actor: String?

    @Option(
        name: .customLong("stream"),
        help: ArgumentHelp(
            "A stream the event belongs to, such as subject/ID. Give it once for each.",
            valueName: "kind/id"
        ),
        transform: Arguments.text
    )
    var streams: [String] = []

    @Option(
        help: ArgumentHelp(
            "A public field. Give it once for each; lists are written with commas.",
            valueName: "name=value"
        ),
        transform: Arguments.text
    )
    var body: [String] = []

    @Option(
        name: .customLong("claim"),
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Fields that may identify a person: the scope whose erasure destroys them, then NAME=VALUE for each.",
            valueName: "scope name=value"
        ),
        transform: Arguments.text
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
            return JSONMember(
                name: name,
                value: try EventFlags.value(value, of: name, rule: eventType.rule(body: name))
            )
        }
        return .members([
            "type": .string(type), "actor": .string(actor), "streams": .array(streams.map { .string($0) }),
            "body": .object(fields), "claims": .object(try scopes(eventType)),
        ])
    }

    private func scopes(_ type: EventType) throws -> [JSONMember] {
        var scopes: [JSONMember] = []
        for word in claims {
            guard word.utf8.contains(UInt8(ascii: "=")) else {
                // A scope that comes up again goes on where it was.
                let known = scopes.firstIndex { $0.name.utf8.elementsEqual(word.utf8) }
                scopes.append(known.map { scopes.remove(at: $0) } ?? JSONMember(name: word, value: .object([])))
                continue
            }
            guard let last = scopes.popLast() else {
                throw Failure(.usage, "--claim must begin with the scope, such as subject/ID, before NAME=VALUE")
            }
            let (name, value) = try EventFlags.split(word, option: "--claim")
            let member = JSONMember(
                name: name,
                value: try EventFlags.value(value, of: name, rule: type.rule(claim: name))
            )
            scopes.append(JSONMember(name: last.name, value: .object((last.value.object ?? []) + [member])))
        }
        return scopes
    }

    private static func split(_ text: String, option: String) throws -> (name: String, value: String) {
        // By bytes: a mark after the = would merge with it.
        let bytes = text.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else {
            throw Failure(.usage, "\(option) must be NAME=VALUE")
        }
        return (String(Substring(bytes[..<equals])), String(Substring(bytes[bytes.index(after: equals)...])))
    }

    /// The value in the type its rule asks for. What doesn't fit stays text, and the ledger says what is wrong with it.
    ///
    /// - Throws: `Failure` for a number no JSON integer may be.
    static func value(_ text: String, of name: String, rule: FieldRule?) throws -> JSONValue {
        func integer(_ text: String) throws -> JSONValue {
            guard let number = Int64(text) else {
                guard !text.isEmpty, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return .string(text) }
                throw Failure(.usage, "\(name)=\(text): beyond \(JSONValue.maximumInteger)")
            }
            guard -JSONValue.maximumInteger...JSONValue.maximumInteger ~= number else {
                throw Failure(.usage, "\(name)=\(text): beyond \(JSONValue.maximumInteger)")
            }
            return .int(number)
        }
        switch rule {
        case .integer, .index: return try integer(text)
        case .boolean: return ["true": .bool(true), "false": .bool(false)][text] ?? .string(text)
        case .codes, .streamList: return .array(Arguments.names(text).map { .string($0) })
        case .indexes: return .array(try Arguments.names(text).map(integer))
        default: return .string(text)
        }
    }
}

extension EventType {
    fileprivate func rule(body name: String) -> FieldRule? {
        body.first { $0.name.utf8.elementsEqual(name.utf8) }?.rule
    }
    fileprivate func rule(claim name: String) -> FieldRule? {
        claims.first { $0.name.utf8.elementsEqual(name.utf8) }?.rule
    }
}
