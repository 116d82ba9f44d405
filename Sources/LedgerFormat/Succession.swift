import Merkle

/// That one checkpoint key follows another: what the key in force before signs as a new incarnation begins
/// (`ledger-format.md` section 6, "Succession").
public struct Succession: Equatable, Sendable {
    /// Origin of the incarnation that ends.
    public let origin: String
    /// Number of the incarnation that begins.
    public let incarnation: Int64
    /// The tree taken over.
    public let tree: Recovery.Tree
    /// Verification key of the incarnation that begins, in the form of section 7.
    public let checkpointKey: String

    /// - Parameter origin: that of the incarnation before, whose key signs.
    public init(origin: String, incarnation: Int64, tree: Recovery.Tree, checkpointKey: String) {
        self.origin = origin
        self.incarnation = incarnation
        self.tree = tree
        self.checkpointKey = checkpointKey
    }

    /// The bytes that are signed. Their third line is a number and never a root, so that the signature can't be taken
    /// for that of a checkpoint, nor a checkpoint's for this.
    public var statement: [UInt8] {
        let lines = [
            "evidenced/succession/v1", origin, "\(incarnation)", "\(tree.size)", tree.root.base64, checkpointKey,
        ]
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }
}
