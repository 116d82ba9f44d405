import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// What a start finds out about store and lock before anything is signed (`ledger-format.md` section 8): that the lock
/// holds what this ledger signed last, that the store begins with that, and what the store has beyond it.
struct StartCheck {
    let schema: StoreSchema
    let identity: LedgerIdentity
    let record: LockRecord

    /// The chain's end. The tree begins with what was signed, and everything behind that is hashed again: nothing that a
    /// start signs is taken from the tree's rows.
    ///
    /// - Parameter verifiedTail: how many of the entries that were signed are hashed again too.
    /// - Throws: `StartupRefusal` where lock and store don't belong together, `StoreDamage` where entries are damaged.
    func state(_ transaction: borrowing ReadTransaction, verifiedTail: UInt64) throws -> ChainState {
        let size = try schema.size(transaction)
        guard size > 0 else { throw StoreDamage(nil, "the store has no entries") }
        let signed = try signedRange(transaction, size: size)
        var hasher = SHA256Hasher()
        var state = ChainState()
        let tail = max(verifiedTail, 1)
        let first = signed.size > tail ? signed.size - tail : 0
        state.previous = first == 0 ? .zero : try schema.leaf(transaction, first - 1)
        for index in first..<signed.size {
            let bytes = try schema.entry(transaction, index)
            let leaf = hasher.leaf(bytes)
            guard try schema.leaf(transaction, index) == leaf else {
                throw StoreDamage(index, "the entry does not hash to its leaf in the tree")
            }
            try StartCheck.follow(&state, index, bytes, leaf)
        }
        state.range = try schema.rehash(transaction, from: signed, to: size, &hasher) { index, bytes, leaf in
            try StartCheck.follow(&state, index, Array(bytes), leaf)
        }
        return state
    }

    /// Takes the chain on by one entry.
    private static func follow(_ state: inout ChainState, _ index: UInt64, _ bytes: [UInt8], _ leaf: Digest) throws {
        let entry: Entry
        do {
            entry = try Entry(bytes)
        } catch {
            throw StoreDamage(index, "the entry is malformed: \(error)")
        }
        guard entry.index == index, entry.previous == state.previous, entry.time > state.time else {
            throw StoreDamage(index, "the entry does not follow the one before it")
        }
        state.previous = leaf
        state.time = entry.time
    }

    /// The tree that the lock's checkpoint signs, as it stands in the store. Refuses a lock of another ledger or that
    /// nobody signed, and a store the lock says cannot be the newest, or is another history.
    private func signedRange(_ transaction: borrowing ReadTransaction, size: UInt64) throws -> CompactRange {
        let (_, stated) = try record.checkpoint()
        guard record.incarnation == identity.incarnation, stated.origin.utf8.elementsEqual(identity.origin.utf8) else {
            throw StartupRefusal(
                .otherRoot,
                """
                the checkpoint lock is of '\(stated.origin)', incarnation \(record.incarnation), and the store of \
                '\(identity.origin)', incarnation \(identity.incarnation)
                """,
                advice:
                    "Put the lock and the store together that belong together; if that is impossible, run 'evidence recover'"
            )
        }
        let locked: Checkpoint
        do {
            locked = try record.checkpoint(verifiedBy: identity.vkey)
        } catch {
            throw StartupRefusal(
                .lockDamaged,
                "the checkpoint lock holds a checkpoint that was not signed with this ledger's key: \(error)",
                advice: """
                    Nobody can tell what was signed last. Put the right lock back; if it is lost, run 'evidence audit' \
                    and then 'evidence recover --reason lock-damaged', which starts a new incarnation
                    """
            )
        }
        guard size >= locked.size else {
            throw StartupRefusal(
                .olderThanLock,
                """
                the store holds \(size) entries, but a checkpoint of \(locked.size) was signed: this is a restored \
                backup or part of the store is lost
                """,
                advice: """
                    Put the newest store back. If it is lost, run 'evidence recover --reason backup-restored': it \
                    starts a new incarnation with a new key, visible in the log, so that nothing signed before can be \
                    contradicted
                    """
            )
        }
        var hasher = SHA256Hasher()
        let range = try schema.compactRange(transaction, size: locked.size)
        guard range.root(&hasher) == locked.root else {
            throw StartupRefusal(
                .otherRoot,
                "the store's first \(locked.size) entries have another root than the checkpoint signed for them",
                advice: "The store is damaged or another ledger's. Run 'evidence audit' to find the first damaged entry"
            )
        }
        return range
    }

    /// Refuses files that are not where they were when the lock was written: they were copied, and of a ledger that was
    /// copied whole nobody can tell what it signed since.
    ///
    /// - Parameter found: where lock and store lie.
    func requirePlaces(_ found: LockRecord.Places) throws {
        let known = record.places
        for (what, then, now) in [("lock", known.lock, found.lock), ("store", known.store, found.store)]
        where !then.mayBe(now) {
            throw StartupRefusal(
                .moved,
                """
                the \(what) is not the file it was, but a copy: it was inode, creation and volume '\(then.text)' and \
                is '\(now.text)'
                """,
                advice: """
                    A copy of store and lock, such as a snapshot, may be older than what was signed last, and neither \
                    of them can tell. Put the original files back. If there are none any more, or this move is meant, \
                    make sure that no daemon goes on with the originals and run 'evidence recover --reason moved': it \
                    starts a new incarnation with a new key, visible in the log
                    """
            )
        }
    }
}

extension StoreSchema {
    /// How many entries are read before their rows of the tree are.
    private static let rehashed = 4_096

    /// Hashes stored entries again, appends them to the tree of those before them, and compares the whole rows of the
    /// tree with what comes of it.
    ///
    /// - Parameters:
    ///   - range: the tree of the entries before.
    ///   - size: how many entries there are in the end.
    ///   - examine: called for each entry with its index, bytes and leaf hash.
    /// - Returns: the tree of all.
    /// - Throws: `StoreDamage` where an entry is missing or its row is another; what `examine` throws.
    func rehash(
        _ transaction: borrowing ReadTransaction,
        from range: CompactRange,
        to size: UInt64,
        _ hasher: inout SHA256Hasher,
        examine: (UInt64, UnsafeRawBufferPointer, Digest) throws -> Void = { _, _, _ in }
    ) throws -> CompactRange {
        var range = range
        var leaves: [Digest] = []
        var row: [UInt8] = []
        while range.size < size {
            let first = range.size
            let count = Int(min(size - first, UInt64(StoreSchema.rehashed)))
            leaves.removeAll(keepingCapacity: true)
            try transaction.forEach(entries, from: first, count: count) { index, entry in
                guard let entry else { throw StoreDamage(index, "the entry is missing") }
                let leaf = hasher.leaf(entry)
                leaves.append(leaf)
                try examine(index, entry, leaf)
            }
            try transaction.forEach(tree, from: first, count: count) { index, stored in
                row.removeAll(keepingCapacity: true)
                range.append(leaves[Int(index - first)], hasher: &hasher) { _, digest in digest.append(to: &row) }
                guard let stored, row.withUnsafeBytes({ stored.count == $0.count && stored.elementsEqual($0) }) else {
                    throw StoreDamage(index, "the entry does not hash to its row of the tree")
                }
            }
        }
        return range
    }
}
