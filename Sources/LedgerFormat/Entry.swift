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
    public let body: JSONObjectText
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
        self.init(
            head: Head(index: index, previous: previous, time: time, submitter: submitter),
            type: submission.type.name,
            request: submission.request,
            actor: submission.actor,
            body: submission.body,
            streams: streams,
            claims: claims
        )
    }

    init(
        head: Head,
        type: String,
        request: RequestKey,
        actor: Actor,
        body: JSONObjectText,
        streams: [Membership],
        claims: [Scope]
    ) {
        self.actor = actor
        self.body = body
        self.claims = claims
        index = head.index
        previous = head.previous
        self.request = request
        self.streams = streams
        submitter = head.submitter
        time = head.time
        self.type = type
    }

    /// The canonical JSON whose leaf hash stands in the tree.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1_024)
        encode(to: &bytes)
        return bytes
    }
}
