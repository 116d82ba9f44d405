public import JSON
public import Ledger
public import LedgerFormat
public import Merkle
import OpenSSL

/// A document that is to be kept, and what its deposit records.
public struct DepositOrder: Sendable {
    /// The name of the principal who deposits it.
    public var submitter: String
    /// The idempotency key of the deposit.
    public var request: RequestKey
    public var actor: Actor
    /// The document's id: the stream `object/ID`.
    public var object: ID128
    /// Further streams of the deposit.
    public var streams: [StreamID] = []
    /// Its body, as `evidence.deposited` has it, but for `custody`.
    public var body: [JSONMember]
    /// Its claims, but for those the daemon takes from the document itself.
    public var claims: [(scope: StreamID, members: [JSONMember])] = []
    /// Bytes of the document, where they are known before it comes.
    public var size: UInt64?
    /// What the submitter says its SHA-256 is, which it then has to be.
    public var sha256: Digest?

    public init(
        submitter: String,
        request: RequestKey,
        actor: Actor,
        object: ID128,
        body: [JSONMember]
    ) {
        self.submitter = submitter
        self.request = request
        self.actor = actor
        self.object = object
        self.body = body
    }

    /// The object's id for who gives none: it follows from who asks and by which idempotency key, so that the same request
    /// again is of the same object. Its time is that of a key of version 7.
    public static func object(of request: RequestKey, from submitter: String) -> ID128 {
        let derived = derived("evidenced/object-id/v1\n\(submitter)\n", request)
        return ID128(high: request.value.high & ~0xFFFF | derived.high & 0xFFFF, low: derived.low)
    }

    /// 128 bits that follow from a request, each use by a label of its own: the beginning of SHA-256(label ‖ request).
    private static func derived(_ label: String, _ request: RequestKey) -> (high: UInt64, low: UInt64) {
        var bytes = Array(label.utf8)
        request.append(to: &bytes)
        let hash = SHA256Hasher().hash(bytes).bytes
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return (word(hash[..<8]), word(hash[8..<16]))
    }

    /// Names of claims that the daemon takes from the document.
    private static let own: [String] = ["sha256", "sm3", "size", "claimed_sha256"]

    var scope: StreamID { StreamID(kind: .object, id: object) }

    /// Checks all that can be checked before the document is there.
    ///
    /// - Throws: `LedgerError.invalidEvent` naming field and rule, `.invalidArgument`.
    public func check() throws(LedgerError) {
        for (_, members) in claims {
            for member in members where DepositOrder.own.contains(where: { $0.utf8.elementsEqual(member.name.utf8) }) {
                throw .invalidEvent(
                    event: 0,
                    field: "claims.\(member.name)",
                    rule: "is taken from the document by the daemon"
                )
            }
        }
        if body.contains(where: { $0.name.utf8.elementsEqual("custody".utf8) }) {
            throw .invalidEvent(event: 0, field: "body.custody", rule: "is said by the daemon")
        }
        if streams.contains(where: { $0.kind == .object }) {
            throw .invalidEvent(event: 0, field: "streams", rule: "must name no other object than the document's")
        }
        _ = try deposited(Contents(sha256: .zero, sm3: nil, size: 0))
    }

    /// What the daemon took from the document.
    struct Contents {
        let sha256: Digest
        /// nil where libcrypto has no SM3.
        let sm3: Digest?
        let size: UInt64
    }

    /// The event that records the deposit.
    func deposited(_ contents: Contents) throws(LedgerError) -> Submission {
        var taken = [
            JSONMember(name: "sha256", value: .string(contents.sha256.hex)),
            JSONMember(name: "size", value: .int(Int64(contents.size))),
        ]
        if let sm3 = contents.sm3 { taken.append(JSONMember(name: "sm3", value: .string(sm3.hex))) }
        if let sha256 { taken.append(JSONMember(name: "claimed_sha256", value: .string(sha256.hex))) }
        var scopes = claims.filter { $0.scope != scope }
        scopes.append((scope, (claims.first { $0.scope == scope }?.members ?? []) + taken))
        return try submission(
            "evidence.deposited",
            request,
            streams: streams + [scope],
            body: body + [JSONMember(name: "custody", value: .string("kept"))],
            claims: scopes
        )
    }

    /// The event that records how it is kept.
    func sealed(_ ciphertext: CiphertextDigest) throws(LedgerError) -> Submission {
        try submission(
            "evidence.sealed",
            sealingRequest,
            streams: [scope],
            body: [
                JSONMember(name: "ciphertext_sha256", value: .string(ciphertext.sha256.hex)),
                JSONMember(name: "ciphertext_size", value: .int(Int64(ciphertext.size))),
                JSONMember(name: "suite", value: .string("age-v1")),
            ],
            claims: []
        )
    }

    /// The idempotency key of the second event follows from that of the first: a UUID of version 8 (RFC 9562 section 5.8).
    private var sealingRequest: RequestKey {
        let derived = DepositOrder.derived("evidenced/sealing-request/v1\n", request)
        return RequestKey(value: ID128(high: derived.high & ~0xF000 | 0x8000, low: derived.low & ~(3 << 62) | 2 << 62))
    }

    private func submission(
        _ type: String,
        _ request: RequestKey,
        streams: [StreamID],
        body: [JSONMember],
        claims: [(scope: StreamID, members: [JSONMember])]
    ) throws(LedgerError) -> Submission {
        try VaultEvents.submission(type, request, actor, streams: streams, body: body, claims: claims)
    }
}

/// Makes the events the vault records.
enum VaultEvents {
    /// - Throws: `LedgerError.invalidEvent` naming field and rule.
    static func submission(
        _ type: String,
        _ request: RequestKey,
        _ actor: Actor,
        streams: [StreamID],
        body: [JSONMember],
        claims: [(scope: StreamID, members: [JSONMember])] = []
    ) throws(LedgerError) -> Submission {
        guard let type = EventCatalogue.type(named: type) else {
            throw .invalidEvent(event: 0, field: "type", rule: "must be a type of the event catalogue")
        }
        do throws(EventError) {
            var scopes: [Submission.Scope] = []
            for claim in claims {
                scopes.append(Submission.Scope(scope: claim.scope, claims: try object(claim.members, "claims")))
            }
            return try Submission(
                type: type,
                request: request,
                actor: actor,
                streams: streams,
                body: object(body, "body"),
                claims: scopes
            )
        } catch {
            throw .invalidEvent(event: 0, field: error.field, rule: error.rule)
        }
    }

    private static func object(_ members: [JSONMember], _ field: String) throws(EventError) -> JSONObjectText {
        do throws(JSONError) {
            return try JSONObjectText(members)
        } catch {
            throw EventError(field: field, rule: "must be a JSON object: \(error)")
        }
    }
}
