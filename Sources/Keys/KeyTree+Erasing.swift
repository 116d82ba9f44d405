import LMDB
import OpenSSL
import Synchronization

extension KeyTree {
    /// Destroys the keys of slots for good, wherever copies of the tree survive.
    ///
    /// Those that are erased already, or were never made, are passed over.
    ///
    /// - Throws: `CommitError`, `KeyFileError` where it may be half done: the process must end then, and the next start
    ///   finishes it or takes it back; `KeyRefusal` where rows are damaged and nothing was done.
    public func erase(_ slots: some Sequence<UInt64>) throws {
        var changes: [NodePlace: [Int: CipherKey?]] = [:]
        for slot in slots where slot < self.slots {
            changes[NodePlace(slot: slot), default: [:]][Int(slot % NodePlace.children)] = .some(nil)
        }
        try change(changes, master: nil)
    }

    /// Gives the tree a new root key, wrapped under another master key.
    ///
    /// - Throws: as `erase` does.
    public func rotate(to master: MasterKey) throws { try change([:], master: master) }

    /// Gives new keys to all nodes above what changes, and to the top.
    ///
    /// - Parameter changes: of nodes of the last depth, the positions that are erased.
    private func change(_ changes: [NodePlace: [Int: CipherKey?]], master: MasterKey?) throws {
        try writing.withLock { _ in
            try state.withLock { state in
                let root = try KeyTree.freshKey()
                let epoch = state.epoch + 1
                let master = master ?? state.master
                let slot = 1 - state.rootSlot
                try requireInPlace()
                try makeRoom(pages: (changes.count + 1) * Int(NodePlace.depths) * 2, isUrgent: true)
                try environment.write(growingTo: .max) { transaction in
                    var changes = changes
                    for depth in (0..<NodePlace.depths).reversed() {
                        var above: [NodePlace: [Int: CipherKey?]] = [:]
                        if depth == 0, changes.isEmpty { changes[.top] = [:] }
                        for (place, children) in changes {
                            let fresh = place == .top ? root : try KeyTree.freshKey()
                            let key = try rekey(place, children, to: fresh, &state, transaction)
                            if let parent = place.parent { above[parent, default: [:]][place.position] = .some(key) }
                        }
                        if depth > 0 { changes = above }
                    }
                    try schema.set(
                        KeyTreeHead(tree: id, suite: suite, epoch: epoch, slots: state.slots),
                        transaction
                    )
                    let record = try RootRecord.wrapping(root, tree: id, epoch: epoch, master, state.wrapper)
                    try file.write(record, to: slot)
                }
                let old = state.rootSlot
                state.root = root
                state.epoch = epoch
                newestEpoch.store(epoch, ordering: .releasing)
                state.rootSlot = slot
                state.master = master
                state.keys.removeAll()
                state.wrapper = try SuiteCipher(suite)
                try file.write(nil, to: old)
            }
        }
    }

    /// Wraps what lives on of a node under a new key.
    ///
    /// - Parameter children: which of them change: their new keys, or nil for those that are erased.
    /// - Returns: the new key; nil where nothing lives any more.
    private func rekey(
        _ place: NodePlace,
        _ children: [Int: CipherKey?],
        to key: CipherKey,
        _ state: inout State,
        _ transaction: borrowing WriteTransaction
    ) throws -> CipherKey? {
        var node = try schema.node(transaction, place, suite)
        guard let old = try nodeKey(place, &state, transaction) else { return nil }
        for position in node.livingPositions {
            let child: CipherKey?
            if let change = children[position] {
                child = change
            } else {
                child = try unwrap(position, of: node, at: place, under: old, state.wrapper)
            }
            if let child {
                node.set(position, try wrapped(child, at: place, position, under: key, state.wrapper))
            } else {
                node.erase(position)
            }
        }
        try transaction.set(schema.nodes, place.key, node.row(at: place))
        return node.living == 0 && place != .top ? nil : key
    }
}
