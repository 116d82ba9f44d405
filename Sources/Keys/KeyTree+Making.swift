import LMDB
public import OpenSSL
import Synchronization

extension KeyTree {
    /// Makes slots, durably, and hands out their keys.
    ///
    /// - Parameter nodes: how many times 64 slots.
    /// - Returns: the number of the first slot, and the keys in the order of the slots.
    public func makeSlots(nodes: Int) throws -> (first: UInt64, keys: [CipherKey]) {
        try writing.withLock { _ in
            let (first, epoch) = state.withLock { ($0.slots, $0.epoch) }
            let count = UInt64(nodes) * NodePlace.children
            guard first + count <= NodePlace.slots else {
                throw KeyRefusal(.full, "the key tree has all the slots it can have", advice: "Begin another ledger")
            }
            let wrapper = try SuiteCipher(suite)
            try requireInPlace()
            try makeRoom(pages: 2 * nodes)
            let known = try knownKeys(above: first, count: nodes)
            // Drawn together, for each draw is a call of the kernel's; none is left over for later slots.
            let random = RandomSupply()
            var keys: [CipherKey] = []
            try environment.write(growingTo: .max) { transaction in
                keys.removeAll()
                keys.reserveCapacity(Int(count))
                var made: [(place: NodePlace, key: CipherKey)] = []
                for index in 0..<UInt64(nodes) {
                    let place = NodePlace(depth: NodePlace.depths - 1, index: first / NodePlace.children + index)
                    let nodeKey = try KeyTree.freshKey(random)
                    var node = KeyNode(suite)
                    for position in 0..<Int(NodePlace.children) {
                        let key = try KeyTree.freshKey(random)
                        node.set(position, try wrapped(key, at: place, position, under: nodeKey, wrapper))
                        keys.append(key)
                    }
                    try transaction.insert(schema.nodes, place.key, node.row(at: place))
                    made.append((place, nodeKey))
                }
                try attach(made, known, transaction, wrapper, random)
                try schema.set(KeyTreeHead(tree: id, suite: suite, epoch: epoch, slots: first + count), transaction)
            }
            state.withLock { $0.slots = first + count }
            return (first, keys)
        }
    }

    /// The keys of the nodes that stand above new ones and live.
    private func knownKeys(above first: UInt64, count: Int) throws -> [NodePlace: CipherKey] {
        try state.withLock { state in
            try environment.read { transaction in
                var keys: [NodePlace: CipherKey] = [:]
                for index in 0..<UInt64(count) {
                    var place = NodePlace(depth: NodePlace.depths - 1, index: first / NodePlace.children + index).parent
                    while let node = place, keys[node] == nil {
                        guard try schema.nodeIfMade(transaction, node, suite) != nil else {
                            place = node.parent
                            continue
                        }
                        keys[node] = try nodeKey(node, &state, transaction)
                        place = node.parent
                    }
                }
                return keys
            }
        }
    }

    /// Wraps the keys of nodes that were just made under those of their parents, which are made where there are none.
    private func attach(
        _ nodes: [(place: NodePlace, key: CipherKey)],
        _ keys: [NodePlace: CipherKey],
        _ transaction: borrowing WriteTransaction,
        _ wrapper: SuiteCipher,
        _ random: RandomSupply
    ) throws {
        var made: [(place: NodePlace, key: CipherKey)] = []
        var rest = nodes[...]
        while let parent = rest.first?.place.parent {
            let known = try schema.nodeIfMade(transaction, parent, suite)
            if known == nil, let above = parent.parent,
                try schema.nodeIfMade(transaction, above, suite)?.wasMade(parent.position) == true
            {
                throw KeySchema.damaged(parent, "its row is missing")
            }
            // One that lost its key with the last of its children gets a new one.
            let key: CipherKey
            if let old = keys[parent] {
                key = old
            } else {
                key = try KeyTree.freshKey(random)
                made.append((parent, key))
            }
            var node = known ?? KeyNode(suite)
            while let child = rest.first, child.place.parent == parent {
                let position = child.place.position
                node.set(position, try wrapped(child.key, at: parent, position, under: key, wrapper))
                rest.removeFirst()
            }
            try transaction.set(schema.nodes, parent.key, node.row(at: parent))
        }
        if !made.isEmpty { try attach(made, keys, transaction, wrapper, random) }
    }

    /// - Parameter random: where many are wanted, what to draw them from.
    static func freshKey(_ random: RandomSupply = RandomSupply()) throws -> CipherKey {
        try CipherKey(random.secret(CipherKey.count))
    }
}
