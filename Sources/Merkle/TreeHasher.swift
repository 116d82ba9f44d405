/// The three hashes of an RFC 6962 tree (section 2.1), over whatever hash function the conforming type brings.
public protocol TreeHasher {
    /// H(0x00 ‖ entry).
    mutating func leaf(_ entry: UnsafeRawBufferPointer) -> Digest
    /// H(0x01 ‖ left ‖ right).
    mutating func node(_ left: Digest, _ right: Digest) -> Digest
    /// H of nothing: the root of the empty tree.
    mutating func empty() -> Digest
}

/// A complete subtree: the 2^level leaves from index · 2^level on.
public struct NodeID: Hashable, Sendable {
    /// 0 for a leaf; at most 63.
    public let level: UInt8
    public let index: UInt64

    public init(level: UInt8, index: UInt64) {
        self.level = level
        self.index = index
    }

    /// The leaf whose arrival completes the subtree: its last one.
    public var completedBy: UInt64 { ((index + 1) << UInt64(level)) &- 1 }
}
