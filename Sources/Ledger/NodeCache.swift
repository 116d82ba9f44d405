import LMDB
import Merkle
import Synchronization

/// The upper nodes of the tree, which every proof needs, kept in memory once they were read. A complete subtree never
/// changes, so nothing here ever becomes wrong; each node is read from a committed row.
final class NodeCache: Sendable {
    /// The lowest level that is kept: one node for 1,024 entries.
    private static let lowest: UInt8 = 10
    /// About 6 MB.
    private static let capacity = 1 << 16
    private let nodes = Mutex<[NodeID: Digest]>([:])

    /// Calls `body` with what fetches nodes, from memory or from the tree rows.
    func reading<Value>(
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ body: ((NodeID) throws -> Digest) throws -> Value
    ) throws -> Value {
        try transaction.numbers(in: schema.tree) { cursor in
            try body { node in
                guard node.level >= NodeCache.lowest else { return try NodeCache.read(node, cursor) }
                if let known = nodes.withLock({ $0[node] }) { return known }
                let digest = try NodeCache.read(node, cursor)
                nodes.withLock { nodes in
                    if nodes.count < NodeCache.capacity { nodes[node] = digest }
                }
                return digest
            }
        }
    }

    private static func read(_ node: NodeID, _ cursor: borrowing NumberCursor) throws -> Digest {
        let offset = Int(node.level) * 32
        let digest = try cursor.withValue(node.completedBy) { Digest($0, at: offset) }
        guard let digest, let digest else {
            throw StoreDamage(node.completedBy, "the tree row has no hash of level \(node.level)")
        }
        return digest
    }
}
