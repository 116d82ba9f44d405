import LMDB
public import LedgerFormat
import Merkle

/// What others keep of what was signed. The old lock shows a recovery how much that was; where it can't be read, nothing
/// that lies beside the store does, and a store that was shortened or rewritten under the ledger's own key fits itself
/// (`ledger-format.md` section 6, "Incarnations").
public enum HeldCheckpoints: Sendable {
    /// Nothing is said of it, which is enough where the old lock can be read.
    case unstated
    /// There is none anywhere, as the operator states.
    case none
    /// Signed notes, as they were got.
    case given([SignedNote])

    /// Refuses to go on without a lock where nothing is said.
    func requireStated(since fault: any Error) throws(StartupRefusal) {
        guard case .unstated = self else { return }
        let what = (fault as? StartupRefusal)?.reason ?? "\(fault)"
        throw StartupRefusal(
            .checkpointMissing,
            "the old checkpoint lock can't be read (\(what)), so nothing here shows how much was signed, and that this store "
                + "is it",
            advice: """
                Give a checkpoint or receipt of this ledger that is kept elsewhere, the newest there is, with --checkpoint; \
                only where nobody has one, say so with --without-checkpoint
                """
        )
    }

    /// Compares them with a store whose tree was derived from its entries.
    ///
    /// - Parameters:
    ///   - size: entries of the store.
    ///   - root: gives the root of its first entries.
    /// - Throws: `StartupRefusal`: `.checkpointInvalid` where a note is not signed with the key in force at its size,
    ///   `.olderThanCheckpoint` where the store has fewer entries, `.otherRoot` where its first entries are others.
    func compare(_ identities: IdentityHistory, size: UInt64, root: (UInt64) throws -> Digest) throws {
        guard case .given(let notes) = self else { return }
        for note in notes {
            let checkpoint: Checkpoint
            do {
                checkpoint = try Checkpoint(parsing: note.text)
                if checkpoint.size <= size { try identities.verify(note) }
            } catch {
                throw StartupRefusal(
                    .checkpointInvalid,
                    "the checkpoint given is none that this ledger signed: \(error)",
                    advice: "Give one of this ledger's, of the history that this store is of"
                )
            }
            guard checkpoint.size <= size else {
                throw StartupRefusal(
                    .olderThanCheckpoint,
                    "the store holds \(size) entries, and the checkpoint given is of \(checkpoint.size)",
                    advice: """
                        Put the newest store back. Where it is lost, give an older checkpoint, which this store contains: \
                        what was signed since is lost, and others can show it
                        """
                )
            }
            guard try root(checkpoint.size) == checkpoint.root else {
                throw StartupRefusal(
                    .otherRoot,
                    "the store's first \(checkpoint.size) entries have another root than the checkpoint given",
                    advice: """
                        The store is another history than the one that was signed, which no new incarnation may take \
                        over. Put the signed store back, or a backup of it
                        """
                )
            }
        }
    }
}
