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
    /// Keyed hashes of the document digests among the claims; an entry has at most one of each name.
    private let sha256: DocumentKey?
    private let sm3: DocumentKey?

    var documents: [DocumentKey] { [sha256, sm3].compactMap { $0 } }

    init(entry: Entry, leaf: Digest, request: RequestReference, openings: [[Opening]], hash: KeyedHash) {
        index = entry.index
        self.leaf = leaf
        type = entry.type
        submitter = entry.submitter
        self.request = request
        var sha256: DocumentKey?
        var sm3: DocumentKey?
        for scope in openings {
            for opening in scope {
                guard EventCatalogue.digestClaims.contains(opening.name), let digest = opening.value.string else {
                    continue
                }
                let key = DocumentKey(digest: digest, hash: hash)
                if opening.name == "sm3" { sm3 = key } else { sha256 = key }
            }
        }
        self.sha256 = sha256
        self.sm3 = sm3
    }
}

/// A document digest as the index knows it: 16 bytes of HMAC-SHA-256 under the index key, so that the index alone
/// says nothing about documents.
struct DocumentKey: Hashable, Sendable {
    let value: ID128

    /// - Parameter digest: 64 lower-case hex digits.
    init(digest: String, hash: KeyedHash) {
        value = ID128(prefix: hash.hash(Array("evidenced/document/v1\n\(digest)".utf8)))
    }
}

extension RequestReference {
    /// The reference that made an entry.
    init(_ entry: Entry, _ hasher: SHA256Hasher) {
        self.init(submitter: SubmitterReference(entry.submitter, hasher), request: entry.request)
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

/// The first 8 bytes of the SHA-256 of a submitter's name.
struct SubmitterReference: Hashable, Sendable {
    let value: UInt64

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
