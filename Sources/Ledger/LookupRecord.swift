import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// What the look-up index needs to know of one entry.
struct LookupRecord: Sendable {
    let index: UInt64
    let leaf: Digest
    let type: String
    let submitter: String
    let request: RequestReference
    /// The document digests among the claims.
    let documents: DocumentDigests
}

/// The document digests of an entry: of the claims `sha256` and `sm3`, of which an entry has at most one each.
struct DocumentDigests: Sendable, Hashable {
    private(set) var sha256: Digest?
    private(set) var sm3: Digest?
    /// Whether the claims are missing or damaged, so that it isn't known which there are.
    private(set) var isUnread = false

    static let unread = {
        var digests = DocumentDigests()
        digests.isUnread = true
        return digests
    }()

    /// Notes a claim if it is a document's digest.
    ///
    /// - Parameter value: canonical JSON.
    mutating func note(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        // Two names, told apart by their lengths, which most other claims do not have.
        guard value.count == 66, name.count == 6 || name.count == 3 else { return }
        let digits = value.extracting(1..<65)
        if "sha256".utf8.isSame(as: name) {
            sha256 = Digest(hexDigits: digits)
        } else if "sm3".utf8.isSame(as: name) {
            sm3 = Digest(hexDigits: digits)
        }
    }

    func contains(_ digest: Digest) -> Bool { sha256 == digest || sm3 == digest }

    /// Calls `body` with each digest there is, once.
    func forEach(_ body: (Digest) -> Void) {
        if let sha256 { body(sha256) }
        if let sm3, sm3 != sha256 { body(sm3) }
    }
}

/// A document digest as the index knows it: 16 bytes of HMAC-SHA-256 under the index key, so that the index alone
/// says nothing about documents.
struct DocumentKey: Hashable, Sendable {
    let value: ID128

    init(_ digest: Digest, _ hash: KeyedHash) {
        value = ID128(prefix: hash.hash(Array("evidenced/document/v1\n\(digest.hex)".utf8)))
    }
}

/// A submitter and one of its request keys, as the index knows them: 8 bytes of the submitter's hash, then the UUID.
/// Version 7 keys of one submitter stay in order.
struct RequestReference: Hashable, Sendable {
    let submitter: SubmitterReference
    let request: RequestKey

    /// Appends the 24 bytes of the key.
    func append(to key: inout [UInt8]) {
        withUnsafeBytes(of: submitter.value.bigEndian) { key.append(contentsOf: $0) }
        request.value.append(to: &key)
    }
}

extension RequestReference {
    /// The reference that made an entry.
    init(_ entry: Entry, _ hasher: SHA256Hasher) {
        self.init(submitter: SubmitterReference(entry.submitter, hasher), request: entry.request)
    }
}

extension RequestReference: Comparable {
    /// The order of the keys.
    static func < (left: RequestReference, right: RequestReference) -> Bool {
        left.submitter == right.submitter
            ? left.request.value < right.request.value : left.submitter.value < right.submitter.value
    }
}

/// The first 8 bytes of the SHA-256 of a submitter's name.
struct SubmitterReference: Hashable, Sendable {
    let value: UInt64

    init(value: UInt64) { self.value = value }

    init(_ name: String, _ hasher: SHA256Hasher) {
        value = hasher.hash(Array(name.utf8)).withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}

extension ID128 {
    /// The first 16 bytes of a digest.
    init(prefix digest: Digest) {
        self = digest.withUnsafeBytes { bytes in
            ID128(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
