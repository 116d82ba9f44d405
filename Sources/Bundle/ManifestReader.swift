import JSON
import LedgerFormat
import Merkle

/// Why `manifest.json` was refused: the member of it and the rule.
struct ManifestError: Error, Equatable, CustomStringConvertible {
    let member: String
    let rule: String

    var description: String { "\(member) \(rule)" }
}

extension Manifest {
    /// Reads a manifest: canonical JSON with exactly the members of `ledger-format.md` section 14, each list in its
    /// order.
    ///
    /// - Throws: `ManifestError`.
    init(_ bytes: [UInt8]) throws {
        let document: JSONValue
        do {
            document = try JSONReader.parse(bytes)
        } catch {
            throw ManifestError(member: "the manifest", rule: "is not JSON: \(error)")
        }
        let parts = ManifestPart(document, "the manifest")
        try parts.have([
            "checkpoint", "consistency", "entries", "format", "keys", "originals", "producer", "selection", "streams",
        ])
        guard try parts.string("format").utf8.elementsEqual(Manifest.format.utf8) else {
            throw ManifestError(member: "format", rule: "is not \(Manifest.format)")
        }
        checkpoint = try Manifest.checkpoint(ManifestPart(parts.value("checkpoint"), "checkpoint"))
        consistency = try parts.list("consistency") { try $0.number() }
        entries = try parts.list("entries") { row in
            try row.have(["index", "openings"])
            return EntryRow(index: try row.number("index"), openings: try row.list("openings") { try $0.string() })
        }
        keys = try parts.list("keys") { row in
            try row.have(["incarnation", "vkey"])
            return KeyRow(incarnation: Int64(clamping: try row.number("incarnation")), vkey: try row.string("vkey"))
        }
        originals = try parts.list("originals") { row in
            try row.have(["index", "name"])
            return OriginalRow(index: try row.number("index"), name: try row.string("name"))
        }
        producer = try parts.string("producer")
        selection = try parts.list("selection") { row in
            try row.have(["kind", "value"])
            guard let selection = Selection(kind: try row.string("kind"), value: try row.string("value")) else {
                throw ManifestError(member: "selection", rule: "has a kind or value there is not")
            }
            return selection
        }
        streams = try parts.list("streams") { row in
            try row.have(["entries", "stream"])
            guard let stream = StreamID(try row.string("stream")) else {
                throw ManifestError(member: "streams", rule: "has a name that is no stream")
            }
            return StreamRow(entries: Int64(clamping: try row.number("entries")), stream: stream)
        }
        try checkOrder()
        guard encoded == bytes else { throw ManifestError(member: "the manifest", rule: "is not canonical JSON") }
    }

    private static func checkpoint(_ part: ManifestPart) throws -> Checkpoint {
        try part.have(["origin", "root", "size"])
        guard let root = Digest(base64: try part.string("root")) else {
            throw ManifestError(member: "checkpoint", rule: "has a root that is no hash")
        }
        return Checkpoint(origin: try part.string("origin"), size: try part.number("size"), root: root)
    }

    private func checkOrder() throws {
        func require(_ condition: Bool, _ member: String, _ rule: String) throws {
            guard condition else { throw ManifestError(member: member, rule: rule) }
        }
        func ascend<Value>(_ values: [Value], by precedes: (Value, Value) -> Bool) -> Bool {
            zip(values, values.dropFirst()).allSatisfy(precedes)
        }
        func bytes(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }
        try require(ascend(consistency, by: <), "consistency", "does not ascend")
        try require(!entries.isEmpty && ascend(entries) { $0.index < $1.index }, "entries", "does not ascend by index")
        for row in entries {
            try require(ascend(row.openings, by: bytes), "entries", "has openings that are not in byte order")
            // What a claim may be called; the entry's type says what it is called.
            let areNames = row.openings.allSatisfy { name in
                1...64 ~= name.utf8.count
                    && name.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x5F }
            }
            try require(areNames, "entries", "has an opening whose name no claim has")
        }
        try require(
            keys.first?.incarnation == 1 && ascend(keys) { $0.incarnation < $1.incarnation },
            "keys",
            "does not ascend from incarnation 1"
        )
        let numbers = originals.map { row -> Int? in
            guard case .original(let number, _) = BundleMember(name: row.name) else { return nil }
            return number
        }
        try require(
            numbers == Array(1...max(1, numbers.count)).prefix(numbers.count).map { $0 },
            "originals",
            "is not numbered from 1"
        )
        try require(ascend(originals) { $0.index <= $1.index }, "originals", "does not ascend by index")
        try require(ascend(streams) { $0.stream < $1.stream }, "streams", "is not in byte order")
        try require(Manifest.isProducer(producer), "producer", "is not a name and a version")
    }

    /// 1 to 64 of the letters, digits and signs of a token, with one slash between name and version, neither of which is
    /// empty.
    private static func isProducer(_ text: String) -> Bool {
        let parts = Array(text.utf8).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        return parts.count == 2 && FieldRule.pattern(.word(32)).allows(.string(parts[0]))
            && FieldRule.pattern(.version).allows(.string(parts[1]))
    }
}

/// A part of the manifest while it is read; what is missing or of another type throws.
private struct ManifestPart {
    private let json: JSONValue
    private let name: String

    init(_ json: JSONValue, _ name: String) {
        self.json = json
        self.name = name
    }

    /// Requires exactly these members. Their order is checked by writing the manifest again.
    func have(_ names: [String]) throws {
        guard let members = json.object, members.map(\.name) == names else {
            throw ManifestError(member: name, rule: "has not exactly the members \(names.joined(separator: ", "))")
        }
    }

    func value(_ member: String) throws -> JSONValue {
        guard let value = json[member] else { throw ManifestError(member: member, rule: "is missing") }
        return value
    }

    func string() throws -> String {
        guard let text = json.string else { throw ManifestError(member: name, rule: "has something that is no string") }
        return text
    }

    func number() throws -> UInt64 {
        guard let number = json.int, number >= 0 else {
            throw ManifestError(member: name, rule: "has something that is no whole number")
        }
        return UInt64(number)
    }

    func string(_ member: String) throws -> String { try ManifestPart(value(member), member).string() }

    func number(_ member: String) throws -> UInt64 { try ManifestPart(value(member), member).number() }

    func list<Element>(_ member: String, _ element: (ManifestPart) throws -> Element) throws -> [Element] {
        guard let elements = try value(member).array else { throw ManifestError(member: member, rule: "is no list") }
        return try elements.map { try element(ManifestPart($0, member)) }
    }
}
