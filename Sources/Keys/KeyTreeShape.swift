import Glibc
import LMDB
import OpenSSL

/// What the rows of a tree say without any key: which slots were made, and which of them were erased.
public struct KeyTreeShape: Sendable {
    private let environment: Environment
    private let schema: KeySchema
    private let suite: CipherSuite
    /// The tree's id, 32 hex digits.
    public let id: String

    /// Reads the tree in a directory, beside whoever uses it; nil where there is none.
    ///
    /// - Throws: `KeyRefusal`, `LMDBError` where it can't be read.
    public init?(directory: String) throws {
        guard access(directory + "/data.mdb", F_OK) == 0 else { return nil }
        (environment, schema) = try KeySchema.open(directory, mapBytes: 1 << 20, access: .reading)
        let schema = schema
        guard let head = try environment.read({ try schema.headIfMade($0) }) else { return nil }
        id = head.tree
        suite = head.suite
    }

    init(_ environment: Environment, _ schema: KeySchema, _ suite: CipherSuite, id: String) {
        self.environment = environment
        self.schema = schema
        self.suite = suite
        self.id = id
    }

    /// Whether a slot's key was destroyed; nil where no such slot was made.
    ///
    /// - Throws: `KeyRefusal` where the row is damaged.
    public func isErased(_ slot: UInt64) throws -> Bool? {
        guard slot < NodePlace.slots else { return nil }
        return try environment.read { transaction in
            let position = Int(slot % NodePlace.children)
            guard let node = try schema.nodeIfMade(transaction, NodePlace(slot: slot), suite), node.wasMade(position)
            else { return nil }
            return !node.lives(position)
        }
    }
}
