import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// Who the ledger says it is: origin and key of its checkpoints, and how often it had to begin anew. A fold over
/// `ledger.created` and `system.recovered`.
struct LedgerIdentity: Equatable, Sendable {
    /// The greatest number of an incarnation that another can follow: the next is up to 2^32 greater, and an integer of
    /// the format.
    static let lastFollowed = JSONValue.maximumInteger - (1 << 32)
    /// 1 for a ledger that was never recovered.
    let incarnation: Int64
    /// Origin line of the checkpoints of this incarnation.
    let origin: String
    /// Verification key of the checkpoints, C2SP signed-note form.
    let vkey: String
    /// The stream of the daemon's own events, `ledger/…`.
    let stream: StreamID

    /// The identity after an entry, or nil where the entry says nothing about it.
    func after(_ entry: Entry) -> LedgerIdentity? {
        guard entry.type.utf8.elementsEqual("system.recovered".utf8) else { return nil }
        return LedgerIdentity(body: entry.body.values, stream: stream)
    }

    /// The identity a first entry establishes.
    static func genesis(_ entry: Entry) throws -> LedgerIdentity {
        guard entry.index == 0, entry.type == "ledger.created", entry.streams.count == 1,
            let stream = entry.streams.first?.stream,
            let identity = LedgerIdentity(
                body: entry.body.values + [JSONMember(name: "incarnation", value: .int(1))],
                stream: stream
            )
        else { throw StoreDamage(0, "is not ledger.created") }
        guard entry.body["suite"]?.string == "sha256" else {
            throw StoreDamage(0, "names a hash suite this version does not have")
        }
        guard identity.isKeyNamed else { throw StoreDamage(0, "has a key of another name than its origin") }
        return identity
    }

    private init?(body: [JSONMember], stream: StreamID) {
        let body = JSONValue.object(body)
        guard let incarnation = body["incarnation"]?.int, let origin = body["origin"]?.string,
            let vkey = body["checkpoint_key"]?.string
        else { return nil }
        self.incarnation = incarnation
        self.origin = origin
        self.vkey = vkey
        self.stream = stream
    }

    /// The 32 bytes of the key; nil where it is malformed.
    var publicKey: [UInt8]? { verificationKey?.publicKey }
    /// Whether the key is one, and is named by the origin.
    var isKeyNamed: Bool { verificationKey?.name.utf8.elementsEqual(origin.utf8) ?? false }

    /// Verifies what its key signed; nil where the key is malformed.
    var verifier: CheckpointVerifier? { try? CheckpointVerifier(vkey: vkey) }

    private var verificationKey: VerificationKey? {
        try? VerificationKey(parsing: vkey, sha256: { SHA256Hasher().hash($0) })
    }

    var encoded: [UInt8] {
        JSONValue.members([
            "checkpoint_key": .string(vkey), "incarnation": .int(incarnation), "origin": .string(origin),
            "stream": .string(stream.description),
        ]).canonicalBytes
    }

    init?(_ bytes: [UInt8]) {
        guard let document = try? JSONReader.parse(bytes), let members = document.object,
            let stream = document["stream"]?.string.flatMap({ StreamID($0) })
        else { return nil }
        self.init(body: members, stream: stream)
    }

    /// By bytes: to `String`, origins and keys are the same that nobody else takes for each other.
    static func == (left: LedgerIdentity, right: LedgerIdentity) -> Bool { left.encoded == right.encoded }
}
