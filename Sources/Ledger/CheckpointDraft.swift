import Dispatch
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// A checkpoint signed while the entries it covers are being committed, when the processor has nothing else to do.
///
/// The signature belongs to nobody yet: it leaves this object only for who shows the root of what was read back from
/// the store, and the process only with the checkpoint lock moved. Where the commit fails, it is dropped with the draft.
final class CheckpointDraft: Sendable {
    /// What is signed, and the record of it that the lock is to hold.
    struct Signed: Sendable {
        let checkpoint: Checkpoint
        let note: SignedNote
        let slot: CheckpointLock.Slot
    }

    private static let queue = DispatchQueue(label: "checkpoint", qos: .userInteractive)
    private let finished = DispatchGroup()
    private let result = Mutex<Result<Signed, any Error>?>(nil)

    /// Begins to sign.
    ///
    /// - Parameters:
    ///   - range: the tree to sign.
    ///   - sequence: that of the lock's next record.
    ///   - places: where lock and store lie.
    init(
        _ range: CompactRange,
        sequence: UInt64,
        places: LockRecord.Places,
        identity: LedgerIdentity,
        signer: CheckpointSigner
    ) {
        CheckpointDraft.queue.async(group: finished) { [self] in
            let signed = Result {
                var hasher = SHA256Hasher()
                let checkpoint = Checkpoint(origin: identity.origin, size: range.size, root: range.root(&hasher))
                let note = try SignedNote.signed(checkpoint.text, by: signer)
                let record = LockRecord(
                    sequence: sequence,
                    incarnation: identity.incarnation,
                    vkey: signer.vkey,
                    places: places,
                    note: note.encoded
                )
                return Signed(checkpoint: checkpoint, note: note, slot: CheckpointLock.Slot(record))
            }
            result.withLock { $0 = signed }
        }
    }

    /// Waits for the signature and hands it out.
    ///
    /// - Parameter root: of the entries as they were read back.
    /// - Throws: `StoreDamage` where another root was signed; what signing throws.
    func take(for root: Digest) throws -> Signed {
        finished.wait()
        guard let signed = try result.withLock({ $0 })?.get(), signed.checkpoint.root == root else {
            throw StoreDamage(nil, "the tree just committed has another root than the one signed")
        }
        return signed
    }
}
