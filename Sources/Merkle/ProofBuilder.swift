/// Builds proofs from the hashes of complete subtrees, which `fetch` supplies; a subtree cut by the tree's right edge
/// is folded from complete ones.
///
/// Callers guarantee the ranges named in the preconditions; sizes are below 2^63.
public enum ProofBuilder {
    /// The complete subtrees a tree of `size` leaves consists of, largest first.
    public static func peaks(size: UInt64) -> [NodeID] {
        cover(0..<size)
    }

    /// The root of the tree of `size` leaves.
    @inlinable
    public static func root<Hasher: TreeHasher>(
        size: UInt64,
        hasher: inout Hasher,
        fetch: (NodeID) throws -> Digest
    ) throws -> Digest {
        size == 0 ? hasher.empty() : try hash(0..<size, &hasher, fetch)
    }

    /// The audit path of RFC 6962 section 2.1.1, the leaf's sibling first.
    ///
    /// - Precondition: `index` < `size` < 2^63.
    @inlinable
    public static func inclusion<Hasher: TreeHasher>(
        index: UInt64,
        size: UInt64,
        hasher: inout Hasher,
        fetch: (NodeID) throws -> Digest
    ) throws -> [Digest] {
        precondition(index < size && size < 1 << 63)
        var path: [Digest] = []
        var range = 0..<size
        while range.count > 1 {
            let middle = split(range)
            if index < middle {
                path.append(try hash(middle..<range.upperBound, &hasher, fetch))
                range = range.lowerBound..<middle
            } else {
                path.append(try hash(range.lowerBound..<middle, &hasher, fetch))
                range = middle..<range.upperBound
            }
        }
        return path.reversed()
    }

    /// The consistency proof of RFC 6962 section 2.1.2; empty where the sizes are equal.
    ///
    /// - Precondition: 0 < `first` ≤ `second` < 2^63.
    @inlinable
    public static func consistency<Hasher: TreeHasher>(
        first: UInt64,
        second: UInt64,
        hasher: inout Hasher,
        fetch: (NodeID) throws -> Digest
    ) throws -> [Digest] {
        precondition(first > 0 && first <= second && second < 1 << 63)
        guard first < second else { return [] }
        var path: [Digest] = []
        var range = 0..<second
        // SUBPROOF(m, D[n], b): go down towards the first tree's right edge.
        while first != range.upperBound {
            let middle = split(range)
            if first <= middle {
                path.append(try hash(middle..<range.upperBound, &hasher, fetch))
                range = range.lowerBound..<middle
            } else {
                path.append(try hash(range.lowerBound..<middle, &hasher, fetch))
                range = middle..<range.upperBound
            }
        }
        // The verifier knows the first root, so the subtree is named only where it is not the whole first tree.
        if range.lowerBound != 0 { path.append(try hash(range, &hasher, fetch)) }
        return path.reversed()
    }

    /// Where RFC 6962 splits a range of more than one leaf: after the largest power of two smaller than its length.
    @usableFromInline
    static func split(_ range: Range<UInt64>) -> UInt64 {
        let length = range.upperBound - range.lowerBound
        return range.lowerBound + 1 << UInt64(63 - (length - 1).leadingZeroBitCount)
    }

    /// The complete subtrees that make up a range whose start is aligned to its largest one.
    private static func cover(_ range: Range<UInt64>) -> [NodeID] {
        var nodes: [NodeID] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let node = first(of: start..<range.upperBound)
            nodes.append(node)
            start += 1 << UInt64(node.level)
        }
        return nodes
    }

    /// The largest complete subtree a range begins with.
    @usableFromInline
    static func first(of range: Range<UInt64>) -> NodeID {
        let level = UInt64(63 - (range.upperBound - range.lowerBound).leadingZeroBitCount)
        return NodeID(level: UInt8(level), index: range.lowerBound >> level)
    }

    @inlinable
    static func hash<Hasher: TreeHasher>(
        _ range: Range<UInt64>,
        _ hasher: inout Hasher,
        _ fetch: (NodeID) throws -> Digest
    ) throws -> Digest {
        let node = first(of: range)
        let left = try fetch(node)
        let rest = range.lowerBound + 1 << UInt64(node.level)..<range.upperBound
        // At most as deep as the tree: each subtree that follows is smaller.
        return rest.isEmpty ? left : hasher.node(left, try hash(rest, &hasher, fetch))
    }
}
