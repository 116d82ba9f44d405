import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// The claims of a call's events with all that can be made of them before their entries have an index: salts,
/// commitments, and what will be sealed. It is made on the caller's thread, so that the writer's is left what only it
/// can do.
struct PreparedClaims: Sendable {
    /// What is sealed (`ledger-format.md` section 10), scope after scope.
    private(set) var plaintext: [UInt8] = []
    /// Where each scope's part stands, event by event and scope by scope.
    private(set) var scopes: [Range<Int>] = []
    /// In the order of the events, scopes and claims.
    private(set) var commitments: [Digest] = []
    /// Of each event.
    private(set) var documents: [DocumentDigests] = []

    init(_ submissions: [Submission], _ hasher: CommitmentHasher) throws {
        documents.reserveCapacity(submissions.count)
        // Drawn together, for each draw is a call of the kernel's; none is left over for a later call.
        let count = submissions.reduce(0) { $0 + $1.claims.reduce(0) { $0 + $1.claims.members.count } }
        var salts = try SecureRandom.bytes(count * FormatLimits.saltBytes)[...]
        for submission in submissions {
            var digests = DocumentDigests()
            for scope in submission.claims {
                let start = plaintext.count
                let text = scope.claims
                let bytes = text.bytes.span
                for claim in text.members {
                    let name = bytes.extracting(claim.name)
                    let value = bytes.extracting(claim.value)
                    let salt = plaintext.count
                    plaintext.append(contentsOf: salts.prefix(FormatLimits.saltBytes))
                    salts.removeFirst(FormatLimits.saltBytes)
                    plaintext.append(UInt8(claim.value.count >> 8))
                    plaintext.append(UInt8(claim.value.count & 255))
                    plaintext.append(contentsOf: text.bytes[claim.value])
                    let end = salt + FormatLimits.saltBytes
                    commitments.append(
                        hasher.commitment(salt: plaintext.span.extracting(salt..<end), name: name, value: value)
                    )
                    digests.note(name, value)
                }
                scopes.append(start..<plaintext.count)
            }
            documents.append(digests)
        }
    }
}

/// Hashes commitments. Not for use by two threads at once.
final class CommitmentHasher: @unchecked Sendable {
    // Sendable: it is lent by a pool to one thread at a time.
    private let hasher = SHA256Hasher()
    private var preimage: [UInt8] = []

    func commitment(salt: Span<UInt8>, name: Span<UInt8>, value: Span<UInt8>) -> Digest {
        preimage.removeAll(keepingCapacity: true)
        ClaimCommitment.append(salt: salt, name: name, value: value, to: &preimage)
        return hasher.hash(preimage)
    }
}

/// Lends a hasher to each thread that prepares claims.
final class CommitmentHashers: Sendable {
    private let idle = Mutex<[CommitmentHasher]>([])

    func prepare(_ submissions: [Submission]) throws -> PreparedClaims {
        let hasher = idle.withLock { $0.popLast() } ?? CommitmentHasher()
        defer { idle.withLock { $0.append(hasher) } }
        return try PreparedClaims(submissions, hasher)
    }
}
