public import JSON
public import Merkle

/// One entry of the ledger, the object whose canonical JSON is hashed into the tree (`ledger-format.md` section 3).
public struct Entry: Equatable, Sendable {
    /// A stream the entry belongs to and its number in it, from 0 without gaps.
    public struct Membership: Equatable, Sendable {
        public let stream: StreamID
        public let number: Int64

        public init(stream: StreamID, number: Int64) {
            self.stream = stream
            self.number = number
        }
    }

    /// The commitments under one scope, in name order.
    public struct Scope: Equatable, Sendable {
        public let scope: StreamID
        public let claims: [CommittedClaim]

        public init(scope: StreamID, claims: [CommittedClaim]) {
            self.scope = scope
            self.claims = claims
        }
    }

    public static let version: Int64 = 1

    public let actor: Actor
    public let body: [JSONMember]
    public let claims: [Scope]
    public let index: UInt64
    /// Leaf hash of the entry before; zero for the first.
    public let previous: Digest
    public let request: RequestKey
    public let streams: [Membership]
    public let submitter: String
    public let time: LedgerTime
    public let type: String

    public init(
        index: UInt64,
        previous: Digest,
        time: LedgerTime,
        submitter: String,
        submission: Submission,
        streams: [Membership],
        claims: [Scope]
    ) {
        actor = submission.actor
        body = submission.body
        self.claims = claims
        self.index = index
        self.previous = previous
        request = submission.request
        self.streams = streams
        self.submitter = submitter
        self.time = time
        type = submission.type.name
    }

    /// The canonical JSON whose leaf hash stands in the tree.
    public var encoded: [UInt8] {
        var writer = JSONWriter(capacity: 1_024)
        encode(to: &writer)
        return writer.bytes
    }

    /// Writes the canonical JSON.
    public func encode(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("actor")
        writer.plainString { actor.append(to: &$0) }
        writer.name("body")
        writer.object(body)
        writer.name("claims")
        writer.beginObject()
        for scope in claims {
            writer.plainName { scope.scope.append(to: &$0) }
            writer.beginObject()
            for claim in scope.claims {
                writer.name(claim.name)
                writer.plainString { claim.commitment.appendBase64(to: &$0) }
            }
            writer.endObject()
        }
        writer.endObject()
        writer.name("index")
        writer.int(Int64(index))
        writer.name("prev")
        writer.plainString { previous.appendBase64(to: &$0) }
        writer.name("request")
        writer.plainString { request.append(to: &$0) }
        writer.name("streams")
        writer.beginArray()
        for membership in streams {
            writer.beginArray()
            writer.plainString { membership.stream.append(to: &$0) }
            writer.int(membership.number)
            writer.endArray()
        }
        writer.endArray()
        writer.name("submitter")
        writer.string(submitter)
        writer.name("time")
        writer.plainString { time.append(to: &$0) }
        writer.name("type")
        writer.string(type)
        writer.name("v")
        writer.int(Entry.version)
        writer.endObject()
    }
}
