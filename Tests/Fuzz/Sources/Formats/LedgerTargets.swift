import Driver
import JSON
import LedgerFormat
import Merkle
import OpenSSL

@Sendable func fuzzEntry(_ bytes: [UInt8]) {
    guard let entry = try? Entry(bytes) else { return }
    check(entry.encoded == bytes, "an entry has two encodings")
    check(bytes.count <= FormatLimits.entryBytes && !entry.streams.isEmpty)
    _ = EventCatalogue.type(named: entry.type)?.contradiction(entry)
}

/// A submission that is accepted makes an entry that is read, and that keeps the rules of its type.
@Sendable func fuzzSubmission(_ bytes: [UInt8]) {
    var reader = JSONReader(bytes)
    guard let submission = try? Submission(reading: &reader) else { return }
    let entry = Entry(
        index: 0,
        previous: .zero,
        time: .maximum,
        submitter: "fuzz",
        submission: submission,
        streams: submission.streams.map { Entry.Membership(stream: $0, number: 0) },
        claims: submission.claims.map { scope in
            Entry.Scope(
                scope: scope.scope,
                claims: scope.claims.values.map { CommittedClaim(name: $0.name, commitment: .zero) }
            )
        }
    )
    let encoded = entry.encoded
    let drafts = EntryDrafts(
        Submissions([submission]),
        submitter: "fuzz",
        commitments: submission.claims.flatMap { $0.claims.members.map { _ in Digest.zero } }
    )
    var written: [UInt8] = []
    drafts.append(
        0,
        index: 0,
        previous: .zero,
        numbers: submission.streams.map { _ in 0 },
        time: .maximum,
        to: &written
    )
    check(written == encoded, "a submission makes two entries")
    guard encoded.count <= FormatLimits.entryBytes else { return }
    do {
        let read = try Entry(encoded)
        check(read.encoded == encoded)
        if let contradiction = submission.type.contradiction(read) { fatalError(contradiction) }
    } catch {
        fatalError("the entry of a submission is refused: \(error)")
    }
}

@Sendable func fuzzNote(_ bytes: [UInt8]) {
    guard let note = try? SignedNote(parsing: bytes) else { return }
    check(isSame(note.encoded, bytes), "a note has two encodings")
    check(1...SignedNote.maximumSignatures ~= note.signatures.count)
    check((try? note.verify([])) == nil, "a note holds without a key")
    check((try? note.verify(note.signatures.map { Verifier($0, isValid: true) })) != nil)
    check((try? note.verify(note.signatures.map { Verifier($0, isValid: false) })) == nil)
    fuzzCheckpoint(Array(note.text.utf8))
}

@Sendable func fuzzCheckpoint(_ bytes: [UInt8]) {
    guard let text = text(bytes), let checkpoint = try? Checkpoint(parsing: text) else { return }
    check(isSame(checkpoint.text, bytes), "a checkpoint has two encodings")
}

@Sendable func fuzzTlogProof(_ bytes: [UInt8]) {
    guard let text = text(bytes), let proof = try? TlogProof(parsing: text) else { return }
    check(isSame(proof.encoded, bytes), "a proof has two encodings")
    check(proof.path.count <= TlogProof.maximumHashes)
    guard let note = try? SignedNote(parsing: Array(proof.note.utf8)),
        let claimed = try? Checkpoint(parsing: note.text)
    else { return }
    var hasher = SHA256Hasher()
    let root = try? ProofVerifier.root(
        leaf: .zero,
        index: proof.index,
        size: claimed.size,
        path: proof.path,
        hasher: &hasher
    )
    let verified = try? proof.verify(
        leaf: .zero,
        origin: claimed.origin,
        verifiers: note.signatures.map { Verifier($0, isValid: true) },
        hasher: &hasher
    )
    check((verified != nil) == (root == claimed.root), "the proof holds, but its path leads elsewhere")
}

@Sendable func fuzzVerificationKey(_ bytes: [UInt8]) {
    // Nobody finds a key ID by chance, so here every key has the same.
    guard let text = text(bytes), let key = try? VerificationKey(parsing: text, sha256: { _ in .zero }) else { return }
    check(isSame(key.text, bytes), "a key has two spellings")
    check(key.keyID == 0 && key.publicKey.count == 32 && SignedNote.isKeyName(key.name))
}

/// Takes a signature for its own.
private struct Verifier: NoteVerifier {
    let name: String
    let keyID: UInt32
    let isValid: Bool

    init(_ signature: SignedNote.Signature, isValid: Bool) {
        name = signature.name
        keyID = signature.keyID
        self.isValid = isValid
    }

    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool { isValid }
}
