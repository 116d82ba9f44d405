import LMDB
import LedgerFormat
import OpenSSL

/// A recovery that was cut off between its entry and its lock: the store's last entry begins the incarnation of the key
/// at hand, and the lock is still that of another one, or none. It is ended by writing the lock; nothing else was, or
/// is, signed under the key.
struct CutOff {
    let signer: CheckpointSigner
    private let recovery: Recovery

    /// nil where the store tells of none.
    init?(
        _ environment: Environment,
        _ schema: StoreSchema,
        _ identity: LedgerIdentity,
        _ keyring: Keyring,
        lock: LockRecord?
    ) throws {
        signer = try CheckpointSigner(seed: keyring.checkpointSeed, origin: identity.origin)
        let last = try environment.read { transaction in
            let size = try schema.size(transaction)
            return size > 0 ? try? Entry(schema.entry(transaction, size - 1)) : nil
        }
        guard let last, let recovery = try? Recovery(last), recovery.incarnation == identity.incarnation,
            recovery.checkpointKey.utf8.elementsEqual(signer.vkey.utf8),
            identity.vkey.utf8.elementsEqual(signer.vkey.utf8), lock?.incarnation != identity.incarnation
        else { return nil }
        self.recovery = recovery
    }

    /// Derives everything that is signed again, as the beginning did, and compares it with the old lock, which must be the
    /// one that was taken over.
    ///
    /// - Returns: the incarnation that ended, and the checkpoint that is to be signed.
    func compared(
        _ environment: Environment,
        _ schema: StoreSchema,
        lock: LockRecord?,
        _ held: HeldCheckpoints,
        progress: (UInt64, UInt64) -> Void
    ) throws -> (ended: Int64, Checkpoint) {
        let taken = try TakenOver(
            environment,
            schema,
            lock: lock,
            held,
            reason: recovery.reason,
            isCutOff: true,
            progress: progress
        )
        guard taken.locked == nil || taken.locked == recovery.lock else {
            throw StartupRefusal(
                .otherRoot,
                "the old lock's checkpoint is not the one that the recovery which was cut off took over",
                advice: "Put the lock back that was there then"
            )
        }
        return (taken.ended, Checkpoint(origin: signer.name, size: taken.tree.size, root: taken.tree.root))
    }
}
