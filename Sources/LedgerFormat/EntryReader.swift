import JSON
import Merkle

/// Why bytes are not a valid entry. The reason names the field, never a value.
public struct EntryError: Error, Equatable, Sendable, CustomStringConvertible {
    public let field: String
    public let reason: String

    public init(field: String, reason: String) {
        self.field = field
        self.reason = reason
    }

    public var description: String { "\(field): \(reason)" }
}

extension Entry {
    /// Reads an entry as strictly as the format is written: exactly the fields of section 3, and canonical, so that no
    /// two texts mean the same entry.
    public init(_ bytes: [UInt8]) throws(EntryError) {
        self = if let entry = EntryTemplate.read(bytes) { entry } else { try Entry(strictly: bytes) }
    }

    /// Reads an entry as any JSON is read, and says what is wrong with it.
    init(strictly bytes: [UInt8]) throws(EntryError) {
        guard bytes.count <= FormatLimits.entryBytes else {
            throw EntryError(field: "entry", reason: "longer than \(FormatLimits.entryBytes) bytes")
        }
        var fields = EntryFields()
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in try fields.read(name, &reader) }
            try reader.finish()
        } catch {
            throw fields.failure ?? fields.mismatch(error)
        }
        if let failure = fields.failure { throw failure }
        guard fields.isComplete else { throw EntryFields.shape }
        self = fields.entry
        guard claims.allSatisfy({ scope in streams.contains { $0.stream == scope.scope } }) else {
            throw EntryError(field: "claims", reason: "has a scope that is none of the streams")
        }
        guard encoded == bytes else { throw EntryError(field: "entry", reason: "is not canonical JSON (RFC 8785)") }
    }
}

/// The fields of an entry while they are read, one after the other.
private struct EntryFields {
    var actor = Actor.system
    var body = JSONObjectText.empty
    var claims: [Entry.Scope] = []
    var index: UInt64 = 0
    var previous = Digest.zero
    var request = RequestKey(value: ID128(high: 0, low: 0))
    var streams: [Entry.Membership] = []
    var submitter = ""
    var time = LedgerTime(microseconds: 0)
    var type = ""
    /// The first field that is not what it must be.
    private(set) var failure: EntryError?
    /// How many fields were read.
    private var position = 0

    static let shape = EntryError(field: "entry", reason: "has not exactly the eleven fields in their order")

    /// The fields in their order, and what is said of a value that is not what it must be.
    private static let rules = [
        ("actor", "is not an actor"), ("body", "is not an object"), ("claims", "is not an object"),
        ("index", "is not a whole number"), ("prev", "is not a base64 digest"),
        ("request", "is not a lower-case UUID"),
        ("streams", "is not a list of 1 to \(FormatLimits.streamsPerEvent) streams"),
        ("submitter", "is not a submitter name"), ("time", "is not RFC 3339 UTC with six fraction digits"),
        ("type", "is not a string"), ("v", "is not 1"),
    ]

    var entry: Entry {
        Entry(
            head: Entry.Head(index: index, previous: previous, time: time, submitter: submitter),
            type: type,
            request: request,
            actor: actor,
            body: body,
            streams: streams,
            claims: claims
        )
    }

    var isComplete: Bool { position == EntryFields.rules.count }

    /// What a reader's refusal means: a value of another type than its field has, or no JSON at all.
    func mismatch(_ error: JSONError) -> EntryError {
        guard error.code == .wrongType, error.offset > 0, !isComplete else {
            return EntryError(field: "entry", reason: error.description)
        }
        let (field, reason) = EntryFields.rules[position]
        return EntryError(field: field, reason: reason)
    }

    /// Reads the value of the next field, which must have this name.
    mutating func read(_ name: String, _ reader: inout JSONReader) throws(JSONError) {
        guard !isComplete, name == EntryFields.rules[position].0 else {
            note(EntryFields.shape)
            throw JSONError(.wrongType, at: reader.position)
        }
        var isValid = true
        switch position {
        case 0:
            let read = try reader.string { Actor(utf8: $0) }
            if let read { actor = read } else { isValid = false }
        case 1: body = try reader.objectText()
        case 2: try readClaims(&reader)
        case 3:
            let read = try reader.int()
            if read >= 0 { index = UInt64(read) } else { isValid = false }
        case 4:
            let read = try reader.string { Digest(base64: $0) }
            if let read { previous = read } else { isValid = false }
        case 5:
            let read = try reader.string { RequestKey(utf8: $0) }
            if let read { request = read } else { isValid = false }
        case 6: try readStreams(&reader)
        case 7:
            submitter = try reader.string()
            isValid = SubmitterName.isValid(submitter)
        case 8:
            let read = try reader.string { LedgerTime(utf8: $0) }
            if let read { time = read } else { isValid = false }
        case 9:
            // The catalogue's own text, where there is one, needs no memory of its own.
            type = try reader.string { text in
                EventCatalogue.type(utf8: text)?.name
                    ?? text.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
            }
        default: isValid = try reader.int() == Entry.version
        }
        if !isValid { note(mismatch(JSONError(.wrongType, at: reader.position))) }
        position += 1
    }

    private mutating func note(_ error: EntryError) {
        if failure == nil { failure = error }
    }

    private mutating func noteClaims(_ reason: String) { note(EntryError(field: "claims", reason: reason)) }

    private mutating func readClaims(_ reader: inout JSONReader) throws(JSONError) {
        var scopes: [Entry.Scope] = []
        var count = 0
        var isMalformed = false
        var hasOtherCommitment = false
        try reader.object { (name, reader) throws(JSONError) in
            guard let scope = StreamID(utf8: name.utf8.span), try reader.isBeforeObject() else {
                isMalformed = true
                _ = try reader.skip()
                return
            }
            var claims: [CommittedClaim] = []
            try reader.object { (name, reader) throws(JSONError) in
                if let commitment = try reader.string({ Digest(base64: $0) }) {
                    claims.append(CommittedClaim(name: name, commitment: commitment))
                } else {
                    hasOtherCommitment = true
                }
            }
            if claims.isEmpty, !hasOtherCommitment { isMalformed = true }
            count += claims.count
            scopes.append(Entry.Scope(scope: scope, claims: claims))
        }
        self.claims = scopes
        if isMalformed { noteClaims("has a scope that is not a stream with claims") }
        if hasOtherCommitment { noteClaims("has a commitment that is not a base64 digest") }
        if count > FormatLimits.claimsPerEvent { return noteClaims("are more than \(FormatLimits.claimsPerEvent)") }
        for (position, scope) in scopes.enumerated() {
            if position > 0, scopes[position - 1].scope >= scope.scope { noteClaims("has scopes out of order") }
            for (place, claim) in scope.claims.enumerated() {
                if place > 0, !JSONWriter.precedes(scope.claims[place - 1].name, claim.name) {
                    noteClaims("has names out of order")
                }
                for other in scopes[..<position]
                where other.claims.contains(where: { $0.name.utf8.elementsEqual(claim.name.utf8) }) {
                    noteClaims("has a name under two scopes")
                }
            }
        }
    }

    private mutating func readStreams(_ reader: inout JSONReader) throws(JSONError) {
        var memberships: [Entry.Membership] = []
        var isMalformed = false
        try reader.array { (reader) throws(JSONError) in
            var stream: StreamID?
            var number: Int64 = -1
            var parts = 0
            guard try reader.isBeforeArray() else {
                isMalformed = true
                _ = try reader.skip()
                return
            }
            try reader.array { (reader) throws(JSONError) in
                switch parts {
                case 0 where try reader.isBeforeString(): stream = try reader.string { StreamID(utf8: $0) }
                case 1 where try !reader.isBeforeString(): number = try reader.int()
                default: _ = try reader.skip()
                }
                parts += 1
            }
            guard parts == 2, let stream, number >= 0 else {
                isMalformed = true
                return
            }
            memberships.append(Entry.Membership(stream: stream, number: number))
        }
        if isMalformed { note(EntryError(field: "streams", reason: "has a member that is not [stream, number]")) }
        guard 1...FormatLimits.streamsPerEvent ~= memberships.count || isMalformed else {
            return note(mismatch(JSONError(.wrongType, at: reader.position)))
        }
        for position in memberships.indices.dropFirst()
        where memberships[position - 1].stream >= memberships[position].stream {
            note(EntryError(field: "streams", reason: "are not in strict order"))
        }
        streams = memberships
    }
}
