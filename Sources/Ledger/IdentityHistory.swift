import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The identities a ledger has had, and from which size each is in force (`ledger-format.md` section 6).
struct IdentityHistory: Sendable {
    private struct Period {
        /// The smallest size it is in force at.
        let since: UInt64
        let identity: LedgerIdentity
    }

    private var periods: [Period] = []
    /// Of each `system.recovered`: its index, the root it says it took over, what it says the old lock stated, and whether
    /// it says that the keyring was lost.
    private var takenOver: [(index: UInt64, root: String, lock: Recovery.Tree?, lostKeys: Bool)] = []
    /// Of recoveries that state it, by their indexes: the digest of the scopes whose erasure came after what they took over.
    private(set) var erasedScopes: [UInt64: Digest] = [:]

    /// The identity in force at the end.
    var newest: LedgerIdentity? { periods.last?.identity }

    /// The identity in force at a size.
    func inForce(atSize size: UInt64) -> LedgerIdentity? { periods.last { $0.since <= size }?.identity }

    /// Takes over what an entry says of the identity, if it says anything.
    ///
    /// - Parameter index: where the entry stands, whatever it says of itself.
    /// - Returns: the rules it breaks; but for the root, which `wrongRoots` compares.
    mutating func take(_ entry: Entry, at index: UInt64) -> [String] {
        guard index > 0 else {
            do {
                periods = [Period(since: 1, identity: try LedgerIdentity.genesis(entry))]
                return []
            } catch {
                return ["\((error as? StoreDamage)?.what ?? "\(error)")"]
            }
        }
        guard let before = newest, let next = before.after(entry) else { return [] }
        periods.append(Period(since: index + 1, identity: next))
        let size = entry.body["size"]?.int
        // What breaks a rule without the entries before it, the check of its type says.
        let recovery = try? Recovery(entry)
        takenOver.append((index, entry.body["root"]?.string ?? "", recovery?.lock, recovery?.reason == .keyLost))
        if let erased = recovery?.erasedScopes { erasedScopes[index] = erased }
        let isSigned = recovery.map { recovery in before.verifier.map { recovery.isSigned(by: $0) } ?? false } ?? true
        let rules: [(holds: Bool, rule: String)] = [
            (isSigned, "has a succession that the key in force before did not sign"),
            (entry.streams.contains { $0.stream == before.stream }, "does not belong to the ledger stream"),
            (next.incarnation > before.incarnation, "does not count its incarnation on"),
            (
                next.origin.utf8.elementsEqual(
                    Recovery.origin(before.origin, incarnation: next.incarnation).utf8
                ),
                "has an origin that is not the first one's with its number"
            ), (next.isKeyNamed, "has a key of another name than its origin"),
            (next.publicKey != before.publicKey, "has the key of the incarnation before"),
            (size == Int64(clamping: index), "says another size than that of the entries before it"),
        ]
        return rules.filter { !$0.holds }.map(\.rule)
    }

    /// Where a `system.recovered` states another tree than that of the entries before it: as the one it took over, or as
    /// that of the old lock's checkpoint, which shows where that was not larger. A tree that has no root, for rows of it
    /// are missing, is compared with none.
    func wrongTrees(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) -> [(index: UInt64, rule: String)]
    {
        var wrong: [(UInt64, String)] = []
        for (index, stated, lock, _) in takenOver {
            if let root = try? schema.root(transaction, size: index),
                !stated.utf8.elementsEqual(root.base64.utf8)
            {
                wrong.append((index, "takes over another tree than that of the entries before it"))
            }
            if let lock, lock.size <= index, let root = try? schema.root(transaction, size: lock.size),
                root != lock.root
            {
                wrong.append((index, "says that the old lock's \(lock.size) entries had another root than they have"))
            }
        }
        return wrong
    }

    /// Where recoveries stand that do not state the old lock's checkpoint.
    var unlockedRecoveries: [UInt64] { takenOver.filter { $0.lock == nil }.map(\.index) }

    /// Where recoveries stand that say the keyring was lost.
    var keyLosses: [UInt64] { takenOver.filter(\.lostKeys).map(\.index) }

    /// Whether the entry at an index began an incarnation.
    func hasRecovery(at index: UInt64) -> Bool { takenOver.contains { $0.index == index } }

    /// Sizes of the checkpoints of old locks that the entries before a recovery reach: a row is kept of each.
    var lockedSizes: [UInt64] {
        takenOver.compactMap { taken in taken.lock.flatMap { $0.size <= taken.index ? $0.size : nil } }
    }

    /// Whether a recovery states this tree as that of the old lock's checkpoint.
    func hasRecovery(stating lock: Recovery.Tree) -> Bool { takenOver.contains { $0.lock == lock } }

    /// The identity with an incarnation's number; nil where none has it.
    func identity(ofIncarnation number: Int64) -> LedgerIdentity? {
        periods.first { $0.identity.incarnation == number }?.identity
    }

    /// Checks a note against the identity in force at the size of its checkpoint.
    func verify(_ note: SignedNote) throws {
        let checkpoint = try Checkpoint(parsing: note.text)
        guard let identity = inForce(atSize: checkpoint.size),
            checkpoint.origin.utf8.elementsEqual(identity.origin.utf8)
        else { throw NoteError(.malformedCheckpoint, "its origin is not the one in force at its size") }
        try note.verify([CheckpointVerifier(vkey: identity.vkey)])
    }
}
