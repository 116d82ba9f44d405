import JSON
public import LedgerFormat
public import Merkle
import OpenSSL

/// A stretch of a ledger's life under one origin and one key, as the entry that begins it says (`ledger-format.md`
/// section 6).
public struct Incarnation: Equatable, Sendable {
    public let number: Int64
    /// Origin of its checkpoints.
    public let origin: String
    public let key: VerificationKey
    /// Index of the entry that begins it.
    public let index: UInt64
    /// Whether the key before signed that this one follows it; false of the first, and where that key was lost.
    public let isSucceeding: Bool
    /// The tree of the old lock's checkpoint, where the entry states one that is a beginning of this ledger: none of
    /// more entries than were taken over, which is another history.
    let lock: Recovery.Tree?
    /// The ledger stream.
    let stream: StreamID

    /// What the first entry establishes.
    ///
    /// - Throws: `BundleFormatError` with the rule it breaks.
    public init(first entry: Entry) throws {
        func require(_ condition: Bool, _ english: String, _ chinese: String) throws {
            guard condition else { throw BundleFormatError(english, chinese) }
        }
        let body = JSONValue.object(entry.body.values)
        try require(entry.index == 0 && entry.type == "ledger.created", "is not ledger.created", "不是 ledger.created")
        guard entry.streams.count == 1, let membership = entry.streams.first, membership.stream.kind == .ledger,
            membership.number == 0
        else { throw BundleFormatError("does not belong to the ledger stream alone", "不只属于账本流") }
        try require(entry.claims.isEmpty, "has values", "含有内容项")
        try require(body["suite"]?.string == "sha256", "names another suite than sha256", "算法套件不是 sha256")
        try require(body["format"]?.int == 1, "is of another format than 1", "格式版本不是 1")
        let origin = body["origin"]?.string ?? ""
        let isOrigin =
            SignedNote.isKeyName(origin) && Recovery.origin(origin, incarnation: 1).utf8.elementsEqual(origin.utf8)
        try require(isOrigin, "has no valid origin", "来源名称无效")
        number = 1
        self.origin = origin
        key = try Incarnation.key(body, origin: origin)
        index = 0
        isSucceeding = false
        lock = nil
        stream = membership.stream
    }

    /// What a later `system.recovered` establishes.
    ///
    /// - Parameters:
    ///   - previous: the incarnation before it.
    ///   - root: the root of all entries before it.
    /// - Throws: `BundleFormatError` with the rule it breaks.
    public init(_ entry: Entry, after previous: Incarnation, root: Digest) throws {
        let body = JSONValue.object(entry.body.values)
        guard entry.streams.contains(where: { $0.stream == previous.stream }) else {
            throw BundleFormatError("does not belong to the ledger stream", "不属于账本流")
        }
        let number = body["incarnation"]?.int ?? 0
        guard number > previous.number else {
            throw BundleFormatError("does not count its incarnation on", "实例编号没有增加")
        }
        let origin = body["origin"]?.string ?? ""
        guard origin.utf8.elementsEqual(Recovery.origin(previous.origin, incarnation: number).utf8) else {
            throw BundleFormatError("has an origin that is not the first one's with its number", "来源名称与编号不符")
        }
        let key = try Incarnation.key(body, origin: origin)
        guard key.publicKey != previous.key.publicKey else {
            throw BundleFormatError("has the key of the incarnation before", "沿用了上一实例的密钥")
        }
        let stated = body["root"]?.string ?? ""
        guard body["size"]?.int == Int64(entry.index), stated.utf8.elementsEqual(root.base64.utf8) else {
            throw BundleFormatError("takes over another tree than that of the records before it", "接续的不是之前记录的树")
        }
        let recovery = try Recovery(entry)
        guard recovery.isSigned(by: previous.verifier) else {
            throw BundleFormatError("has a succession that the key before did not sign", "接续签名不是前一密钥所作")
        }
        self.number = number
        self.origin = origin
        self.key = key
        index = entry.index
        isSucceeding = recovery.succession != nil
        lock = recovery.lock.flatMap { $0.size <= entry.index ? $0 : nil }
        stream = previous.stream
    }

    private static func key(_ body: JSONValue, origin: String) throws -> VerificationKey {
        let hasher = SHA256Hasher()
        let key = try VerificationKey(parsing: body["checkpoint_key"]?.string ?? "") { hasher.hash($0) }
        guard key.name.utf8.elementsEqual(origin.utf8) else {
            throw BundleFormatError("has a key of another name than its origin", "密钥名称与来源名称不同")
        }
        return key
    }

    /// Verifies the signatures of its key.
    var verifier: some NoteVerifier { KeyVerifier(key) }
}

/// A note verifier with nothing but a verification key.
private struct KeyVerifier: NoteVerifier {
    let key: VerificationKey

    init(_ key: VerificationKey) { self.key = key }

    var name: String { key.name }
    var keyID: UInt32 { key.keyID }

    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool {
        (try? Ed25519PublicKey(key.publicKey))?.isValid(signature: signature, over: text) ?? false
    }
}

extension TlogProof {
    /// The root of all entries before the one proven. The siblings on the left of its path are the complete subtrees
    /// those entries make up, smallest first.
    ///
    /// - Precondition: the proof was verified for a tree of `size` entries.
    func rootBefore(size: UInt64, hasher: inout some TreeHasher) -> Digest {
        var root: Digest?
        var node = index
        var last = size - 1
        for sibling in path where last > 0 {
            if node & 1 == 1 || node == last {
                root = root.map { hasher.node(sibling, $0) } ?? sibling
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            }
            node >>= 1
            last >>= 1
        }
        return root ?? hasher.empty()
    }
}
