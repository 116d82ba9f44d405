import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// A call's events with all that can be made of them before their entries have an index: salts, commitments, what will be
/// sealed, and the entries as far as they go. It is made on the caller's thread, so that the writer's is left what only it
/// can do.
struct PreparedEvents: Sendable {
    let submissions: Submissions
    let entries: EntryDrafts
    /// What is sealed (`ledger-format.md` section 10), scope after scope.
    let plaintext: [UInt8]
    /// Where each scope's part stands, in the order of the submissions' scopes.
    let sealed: [Range<Int>]
    /// Of each event.
    let documents: [DocumentDigests]

    init(_ submissions: Submissions, from submitter: String, _ hasher: CommitmentHasher) throws {
        self.submissions = submissions
        let text = submissions.text.span
        // Drawn together, for each draw is a call of the kernel's; none is left over for a later call.
        let count = submissions.scopes.reduce(0) { $0 + $1.claims.members.count }
        let salts = try SecureRandom.bytes(count * FormatLimits.saltBytes)
        var plaintext: [UInt8] = []
        plaintext.reserveCapacity(count * (FormatLimits.saltBytes + 2) + submissions.text.count)
        var sealed: [Range<Int>] = []
        sealed.reserveCapacity(submissions.scopes.count)
        var commitments: [Digest] = []
        commitments.reserveCapacity(count)
        var documents: [DocumentDigests] = []
        documents.reserveCapacity(submissions.count)
        for event in submissions.events {
            var digests = DocumentDigests()
            for scope in event.scopes {
                let start = plaintext.count
                for position in submissions.scopes[scope].claims.members {
                    let claim = submissions.members[position]
                    let name = text.extracting(claim.name)
                    let value = text.extracting(claim.value)
                    let salt = FormatLimits.saltBytes * commitments.count
                    let end = salt + FormatLimits.saltBytes
                    plaintext.append(contentsOf: salts[salt..<end])
                    plaintext.append(UInt8(claim.value.count >> 8))
                    plaintext.append(UInt8(claim.value.count & 255))
                    plaintext.append(contentsOf: submissions.text[claim.value])
                    commitments.append(
                        hasher.commitment(salt: salts.span.extracting(salt..<end), name: name, value: value)
                    )
                    digests.note(name, value)
                }
                sealed.append(start..<plaintext.count)
            }
            documents.append(digests)
        }
        entries = EntryDrafts(submissions, submitter: submitter, commitments: commitments)
        self.plaintext = plaintext
        self.sealed = sealed
        self.documents = documents
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

    func prepare(_ submissions: Submissions, from submitter: String) throws -> PreparedEvents {
        let hasher = idle.withLock { $0.popLast() } ?? CommitmentHasher()
        defer { idle.withLock { $0.append(hasher) } }
        return try PreparedEvents(submissions, from: submitter, hasher)
    }
}
