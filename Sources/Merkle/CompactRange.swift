/// The right edge of a tree: the hashes of the complete subtrees its leaves fall into, largest first. It is all that
/// appending needs.
public struct CompactRange: Sendable, Equatable {
    /// Leaves in the tree.
    public private(set) var size: UInt64
    /// One hash for each bit set in `size`, from the highest to the lowest.
    public private(set) var peaks: [Digest]

    /// The empty tree.
    public init() {
        size = 0
        peaks = []
    }

    /// A tree of `size` leaves with these peaks; nil where their number does not fit the size.
    public init?(size: UInt64, peaks: [Digest]) {
        guard peaks.count == size.nonzeroBitCount else { return nil }
        self.size = size
        self.peaks = peaks
    }

    /// Appends a leaf hash and tells of every subtree it completes: itself at level 0, then one level for each
    /// trailing one bit of its index.
    public mutating func append(
        _ leaf: Digest,
        hasher: inout some TreeHasher,
        completed: (UInt8, Digest) -> Void
    ) {
        append(subtree: leaf, level: 0, hasher: &hasher, completed: completed)
    }

    /// Appends a complete subtree of 2^`level` leaves and tells of every subtree it completes, itself first.
    ///
    /// - Precondition: the size is a multiple of 2^`level`.
    public mutating func append(
        subtree: Digest,
        level: UInt8,
        hasher: inout some TreeHasher,
        completed: (UInt8, Digest) -> Void
    ) {
        precondition(size.trailingZeroBitCount >= level || size == 0)
        completed(level, subtree)
        var digest = subtree
        for above in 0..<UInt8((size >> UInt64(level)).trailingOnes) {
            digest = hasher.node(peaks.removeLast(), digest)
            completed(level + above + 1, digest)
        }
        peaks.append(digest)
        size += 1 << UInt64(level)
    }

    /// The root: the peaks folded from the right.
    public func root(_ hasher: inout some TreeHasher) -> Digest {
        guard var digest = peaks.last else { return hasher.empty() }
        for peak in peaks.dropLast().reversed() { digest = hasher.node(peak, digest) }
        return digest
    }
}

extension UInt64 {
    /// How many one bits stand at the low end.
    var trailingOnes: Int { (~self).trailingZeroBitCount }
}
