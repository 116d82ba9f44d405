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
    let request: RequestKey
    /// Keyed hashes of the document digests among the claims.
    let documents: [DocumentKey]

    init(index: UInt64, leaf: Digest, type: String, submitter: String, request: RequestKey, documents: [DocumentKey]) {
        self.index = index
        self.leaf = leaf
        self.type = type
        self.submitter = submitter
        self.request = request
        self.documents = documents
    }

    init(entry: Entry, leaf: Digest, openings: [Opening], hash: KeyedHash) {
        self.init(
            index: entry.index,
            leaf: leaf,
            type: entry.type,
            submitter: entry.submitter,
            request: entry.request,
            documents: openings.compactMap { opening in
                guard EventCatalogue.digestClaims.contains(opening.name), let digest = opening.value.string else {
                    return nil
                }
                return DocumentKey(digest: digest, hash: hash)
            }
        )
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

/// A submitter and one of its request keys.
struct RequestReference: Hashable, Sendable {
    let submitter: String
    let request: RequestKey

    /// 8 bytes of the submitter's hash, then the UUID: version 7 keys of one submitter stay in order.
    func key(_ hasher: SHA256Hasher) -> [UInt8] {
        var key = Array(hasher.hash(Array(submitter.utf8)).bytes.prefix(8))
        request.value.append(to: &key)
        return key
    }
}

extension ID128 {
    /// The first 16 bytes of a digest.
    init(prefix digest: Digest) {
        let words = digest.bytes.prefix(16).enumerated().reduce(into: (UInt64(0), UInt64(0))) { words, item in
            if item.offset < 8 {
                words.0 = words.0 << 8 | UInt64(item.element)
            } else {
                words.1 = words.1 << 8 | UInt64(item.element)
            }
        }
        self.init(high: words.0, low: words.1)
    }
}
