import Bundle
import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// A ledger made in memory, entry by entry, with everything that follows from its entries.
struct SyntheticLedger {
    static let origin = "tests.example/ledger"
    static let ledgerStream = SyntheticLedger.stream("ledger", 1)
    static let firstSeed = String(repeating: "11", count: 32)

    private(set) var entries: [[UInt8]] = []
    private(set) var leaves: [Digest] = []
    private var openings: [UInt64: [Opening]] = [:]
    private var numbers: [StreamID: Int64] = [:]
    private var hasher = SHA256Hasher()
    private(set) var signer: LedgerKey

    init() throws {
        signer = try LedgerKey(name: SyntheticLedger.origin, seed: SyntheticLedger.firstSeed)
        try append(
            "ledger.created",
            streams: [SyntheticLedger.ledgerStream],
            body: [
                "checkpoint_key": .string(signer.vkey), "format": .int(1), "origin": .string(signer.name),
                "suite": .string("sha256"),
            ],
            submitter: "evidenced"
        )
    }

    var size: UInt64 { UInt64(entries.count) }

    static func stream(_ kind: String, _ number: Int) -> StreamID {
        let digits = String(number, radix: 16)
        return StreamID("\(kind)/" + String(repeating: "0", count: 32 - digits.utf8.count) + digits)!
    }

    /// Appends an event and gives its index.
    @discardableResult
    mutating func append(
        _ type: String,
        streams: [StreamID],
        body: KeyValuePairs<String, JSONValue> = [:],
        claims: [JSONMember] = [],
        submitter: String = "tests"
    ) throws -> UInt64 {
        let members = body.map { JSONMember(name: $0.key, value: $0.value) }
        return try append(type, streams: streams, body: members, claims: claims, submitter: submitter)
    }

    /// Appends an event and gives its index.
    @discardableResult
    mutating func append(
        _ type: String,
        streams: [StreamID],
        body: [JSONMember],
        claims: [JSONMember] = [],
        submitter: String
    ) throws -> UInt64 {
        let index = size
        let scope = streams.first { $0.kind != .ledger } ?? streams[0]
        let opened = claims.map { claim in
            let seed = Array("salt \(index) \(claim.name)".utf8)
            return Opening(scope: scope, name: claim.name, salt: hasher.hash(seed).bytes, value: claim.value)
        }
        let committed = opened.map { CommittedClaim(name: $0.name, commitment: hasher.hash($0.preimage)) }
            .sorted { JSONWriter.precedes($0.name, $1.name) }
        let submission = try Submission(
            type: EventCatalogue.type(named: type)!,
            request: RequestKey(value: ID128(high: 0x0197_0000_0000_7000, low: 0x8000_0000_0000_0000 | index)),
            actor: .system,
            streams: streams.sorted(),
            body: JSONObjectText(body),
            claims: claims.isEmpty ? [] : [Submission.Scope(scope: scope, claims: JSONObjectText(claims))]
        )
        let entry = Entry(
            index: index,
            previous: leaves.last ?? .zero,
            time: LedgerTime(microseconds: 1_767_225_600_000_000 + Int64(index) * 1_000_001),
            submitter: submitter,
            submission: submission,
            streams: streams.sorted().map { stream in
                defer { numbers[stream, default: 0] += 1 }
                return Entry.Membership(stream: stream, number: numbers[stream, default: 0])
            },
            claims: committed.isEmpty ? [] : [Entry.Scope(scope: scope, claims: committed)]
        )
        openings[index] = opened
        entries.append(entry.encoded)
        leaves.append(hasher.leaf(entry.encoded))
        return index
    }

    /// Deposits a document.
    @discardableResult
    mutating func deposit(_ document: [UInt8], object: Int) throws -> UInt64 {
        try append(
            "evidence.deposited",
            streams: [SyntheticLedger.stream("object", object)],
            body: [
                "channel": .string("upload"), "media_type": .string("text/plain"), "product": .string("deposit"),
            ],
            claims: [
                JSONMember(name: "sha256", value: .string(hasher.hash(document).hex)),
                JSONMember(name: "size", value: .int(Int64(document.count))),
                JSONMember(name: "file_name", value: .string("<合同> \"final\".txt")),
            ]
        )
    }

    /// Begins a new incarnation under another key, for which the old one signs unless it was lost.
    mutating func recover(incarnation: Int64, seed: String, reason: Recovery.Reason = .backupRestored) throws {
        let root = self.root(size)
        let old = signer
        signer = try LedgerKey(name: "\(SyntheticLedger.origin)/incarnation/\(incarnation)", seed: seed)
        let statement = [
            "evidenced/succession/v1", old.name, "\(incarnation)", "\(size)", root.base64, signer.vkey, "",
        ].joined(separator: "\n")
        let succession = JSONValue.string(Base64.encode(try old.sign(Array(statement.utf8))))
        try append(
            "system.recovered",
            streams: [SyntheticLedger.ledgerStream],
            body: [
                JSONMember(name: "checkpoint_key", value: .string(signer.vkey)),
                JSONMember(name: "incarnation", value: .int(incarnation)),
                JSONMember(name: "origin", value: .string(signer.name)),
                JSONMember(name: "reason", value: .string(reason.rawValue)),
                JSONMember(name: "root", value: .string(root.base64)),
                JSONMember(name: "size", value: .int(Int64(size))),
            ] + (reason == .keyLost ? [] : [JSONMember(name: "succession", value: succession)]),
            submitter: "evidenced"
        )
    }

    /// Puts other bytes in place of an entry's.
    mutating func replace(_ index: Int, with bytes: [UInt8]) {
        entries[index] = bytes
        leaves[index] = hasher.leaf(bytes)
    }

    func root(_ size: UInt64) -> Digest {
        var hasher = SHA256Hasher()
        var range = CompactRange()
        for leaf in leaves.prefix(Int(size)) { range.append(leaf, hasher: &hasher) { _, _ in } }
        return range.root(&hasher)
    }

    /// A checkpoint of the entries so far, signed by the key in force.
    func note() throws -> String {
        let text = Checkpoint(origin: signer.name, size: size, root: root(size)).text
        return try SignedNote.signed(text, by: signer).encoded
    }

    /// An entry with its proof in the tree of so many entries.
    func item(_ index: UInt64, size: UInt64, open names: [String] = []) throws -> BundleContents.Item {
        var hasher = SHA256Hasher()
        let path = try ProofBuilder.inclusion(index: index, size: size, hasher: &hasher, fetch: node)
        let opened = (openings[index] ?? []).filter { names.contains($0.name) }
        return BundleContents.Item(bytes: entries[Int(index)], path: path, openings: opened)
    }

    func consistency(_ note: String, size: UInt64) throws -> ConsistencyText {
        var hasher = SHA256Hasher()
        let older = try Checkpoint(parsing: SignedNote(parsing: Array(note.utf8)).text)
        let path = try ProofBuilder.consistency(first: older.size, second: size, hasher: &hasher, fetch: node)
        return ConsistencyText(path: path, note: note)
    }

    private func node(_ node: NodeID) -> Digest {
        var hasher = SHA256Hasher()
        var range = CompactRange()
        let first = Int(node.index << UInt64(node.level))
        for leaf in leaves[first..<(first + 1 << Int(node.level))] { range.append(leaf, hasher: &hasher) { _, _ in } }
        return range.root(&hasher)
    }
}

/// The ledger's key.
struct LedgerKey: NoteSigner {
    private let privateKey: Ed25519PrivateKey
    private let verification: VerificationKey

    init(name: String, seed: String) throws {
        let hasher = SHA256Hasher()
        privateKey = try Ed25519PrivateKey(seed: SecretBytes(copying: Hex.decode(seed) ?? []))
        verification = try VerificationKey(name: name, publicKey: privateKey.publicKey) { hasher.hash($0) }
    }

    var name: String { verification.name }
    var keyID: UInt32 { verification.keyID }
    var vkey: String { verification.text }

    func sign(_ text: [UInt8]) throws -> [UInt8] { try privateKey.sign(text) }
}
