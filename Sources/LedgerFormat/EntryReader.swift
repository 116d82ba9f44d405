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
        guard bytes.count <= FormatLimits.entryBytes else {
            throw EntryError(field: "entry", reason: "longer than \(FormatLimits.entryBytes) bytes")
        }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONReader.parse(bytes)
        } catch {
            throw EntryError(field: "entry", reason: error.description)
        }
        guard let members = document.object,
            members.map(\.name)
                == [
                    "actor", "body", "claims", "index", "prev", "request", "streams", "submitter", "time", "type", "v",
                ]
        else { throw EntryError(field: "entry", reason: "has not exactly the eleven fields in their order") }
        guard members[10].value == .int(Entry.version) else { throw EntryError(field: "v", reason: "is not 1") }
        guard let actor = members[0].value.string.flatMap({ Actor($0) }) else {
            throw EntryError(field: "actor", reason: "is not an actor")
        }
        guard let body = members[1].value.object else { throw EntryError(field: "body", reason: "is not an object") }
        guard let index = members[3].value.int, index >= 0 else {
            throw EntryError(field: "index", reason: "is not a whole number")
        }
        guard let previous = members[4].value.string.flatMap({ Digest(base64: $0) }) else {
            throw EntryError(field: "prev", reason: "is not a base64 digest")
        }
        guard let request = members[5].value.string.flatMap({ RequestKey($0) }) else {
            throw EntryError(field: "request", reason: "is not a lower-case UUID")
        }
        guard let submitter = members[7].value.string, SubmitterName.isValid(submitter) else {
            throw EntryError(field: "submitter", reason: "is not a submitter name")
        }
        guard let time = members[8].value.string.flatMap({ LedgerTime($0) }) else {
            throw EntryError(field: "time", reason: "is not RFC 3339 UTC with six fraction digits")
        }
        guard let type = members[9].value.string else { throw EntryError(field: "type", reason: "is not a string") }
        self.actor = actor
        self.body = body
        self.index = UInt64(index)
        self.previous = previous
        self.request = request
        self.submitter = submitter
        self.time = time
        self.type = type
        claims = try Entry.readClaims(members[2].value)
        streams = try Entry.readStreams(members[6].value)
        guard claims.allSatisfy({ scope in streams.contains { $0.stream == scope.scope } }) else {
            throw EntryError(field: "claims", reason: "has a scope that is none of the streams")
        }
        guard encoded == bytes else { throw EntryError(field: "entry", reason: "is not canonical JSON (RFC 8785)") }
    }

    private static func readClaims(_ value: JSONValue) throws(EntryError) -> [Scope] {
        guard let members = value.object else { throw EntryError(field: "claims", reason: "is not an object") }
        var scopes: [Scope] = []
        var count = 0
        for member in members {
            guard let scope = StreamID(member.name), let names = member.value.object, !names.isEmpty else {
                throw EntryError(field: "claims", reason: "has a scope that is not a stream with claims")
            }
            var claims: [CommittedClaim] = []
            for name in names {
                guard let commitment = name.value.string.flatMap({ Digest(base64: $0) }) else {
                    throw EntryError(field: "claims", reason: "has a commitment that is not a base64 digest")
                }
                claims.append(CommittedClaim(name: name.name, commitment: commitment))
            }
            guard zip(claims, claims.dropFirst()).allSatisfy({ JSONWriter.precedes($0.name, $1.name) }) else {
                throw EntryError(field: "claims", reason: "has names out of order")
            }
            count += claims.count
            scopes.append(Scope(scope: scope, claims: claims))
        }
        guard count <= FormatLimits.claimsPerEvent else {
            throw EntryError(field: "claims", reason: "are more than \(FormatLimits.claimsPerEvent)")
        }
        guard Set(scopes.flatMap { $0.claims.map(\.name) }).count == count else {
            throw EntryError(field: "claims", reason: "has a name under two scopes")
        }
        guard zip(scopes, scopes.dropFirst()).allSatisfy({ $0.scope < $1.scope }) else {
            throw EntryError(field: "claims", reason: "has scopes out of order")
        }
        return scopes
    }

    private static func readStreams(_ value: JSONValue) throws(EntryError) -> [Membership] {
        guard let pairs = value.array, 1...FormatLimits.streamsPerEvent ~= pairs.count else {
            throw EntryError(field: "streams", reason: "is not a list of 1 to \(FormatLimits.streamsPerEvent) streams")
        }
        var memberships: [Membership] = []
        for pair in pairs {
            guard let parts = pair.array, parts.count == 2, let stream = parts[0].string.flatMap({ StreamID($0) }),
                let number = parts[1].int, number >= 0
            else { throw EntryError(field: "streams", reason: "has a member that is not [stream, number]") }
            memberships.append(Membership(stream: stream, number: number))
        }
        guard zip(memberships, memberships.dropFirst()).allSatisfy({ $0.stream < $1.stream }) else {
            throw EntryError(field: "streams", reason: "are not in strict order")
        }
        return memberships
    }
}
