import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct CheckpointDraftTests {
    private let identity: LedgerIdentity
    private let signer: CheckpointSigner
    private let range: CompactRange
    private let root: Digest

    init() throws {
        signer = try CheckpointSigner(
            seed: SecretBytes(copying: [UInt8](repeating: 7, count: 32)),
            origin: "test.example/ledger"
        )
        let row: JSONValue = .members([
            "checkpoint_key": .string(signer.vkey), "incarnation": .int(3), "origin": .string(signer.name),
            "stream": .string("ledger/\(String(repeating: "0", count: 32))"),
        ])
        identity = try #require(LedgerIdentity(row.canonicalBytes))
        var hasher = SHA256Hasher()
        var range = CompactRange()
        for leaf in 0..<5 as Range<UInt8> { range.append(hasher.leaf([leaf]), hasher: &hasher) { _, _ in } }
        self.range = range
        root = range.root(&hasher)
    }

    private let places = LockRecord.Places(
        lock: FilePlace(inode: 1, birth: nil, volume: nil),
        store: FilePlace(inode: 2, birth: nil, volume: nil)
    )

    private var draft: CheckpointDraft {
        CheckpointDraft(range, sequence: 9, places: places, identity: identity, signer: signer)
    }

    @Test func whatWasReadBackIsSigned() throws {
        let signed = try draft.take(for: root)
        #expect(signed.checkpoint == Checkpoint(origin: identity.origin, size: 5, root: root))
        let note = try SignedNote(parsing: Array(signed.slot.record.note.utf8))
        #expect(note.text == signed.checkpoint.text)
        try note.verify([CheckpointVerifier(vkey: identity.vkey)])
        let stored = LockRecord(
            sequence: 9,
            incarnation: 3,
            vkey: identity.vkey,
            places: places,
            note: signed.note.encoded
        )
        #expect(LockRecord(slot: signed.slot.bytes) == stored)
    }

    @Test func aSignatureOverAnotherRootIsNotHandedOut() {
        #expect(throws: StoreDamage.self) { try draft.take(for: .zero) }
    }
}
