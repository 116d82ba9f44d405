/// Why a proof was refused.
public enum ProofError: String, Error, Sendable {
    case indexOutOfRange = "the index is not below the tree size"
    case wrongPathLength = "the proof has too few or too many hashes"
    case rootMismatch = "the proof leads to another root"
    case emptyFirstTree = "consistency with an empty tree proves nothing"
    case firstLargerThanSecond = "the first tree is larger than the second"
}

/// Verifies proofs as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say. Input may be hostile: nothing traps.
public enum ProofVerifier {
    /// The root that a leaf and its audit path lead to.
    @inlinable
    public static func root(
        leaf: Digest,
        index: UInt64,
        size: UInt64,
        path: [Digest],
        hasher: inout some TreeHasher
    ) throws(ProofError) -> Digest {
        guard index < size else { throw .indexOutOfRange }
        var node = index
        var last = size - 1
        var digest = leaf
        for sibling in path {
            guard last != 0 else { throw .wrongPathLength }
            if node & 1 == 1 || node == last {
                digest = hasher.node(sibling, digest)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                digest = hasher.node(digest, sibling)
            }
            node >>= 1
            last >>= 1
        }
        guard last == 0 else { throw .wrongPathLength }
        return digest
    }

    /// Checks that `leaf` is entry `index` of the tree of `size` entries with this root.
    @inlinable
    public static func inclusion(
        leaf: Digest,
        index: UInt64,
        size: UInt64,
        path: [Digest],
        root expected: Digest,
        hasher: inout some TreeHasher
    ) throws(ProofError) {
        guard try root(leaf: leaf, index: index, size: size, path: path, hasher: &hasher) == expected else {
            throw .rootMismatch
        }
    }

    /// Checks that the tree of `first` entries is a prefix of the tree of `second`.
    @inlinable
    public static func consistency(
        first: UInt64,
        second: UInt64,
        firstRoot: Digest,
        secondRoot: Digest,
        path: [Digest],
        hasher: inout some TreeHasher
    ) throws(ProofError) {
        guard first > 0 else { throw .emptyFirstTree }
        guard first <= second else { throw .firstLargerThanSecond }
        if first == second {
            guard path.isEmpty else { throw .wrongPathLength }
            guard firstRoot == secondRoot else { throw .rootMismatch }
            return
        }
        // A first tree that is one complete subtree is its own first hash.
        var hashes = first.nonzeroBitCount == 1 ? [firstRoot] + path : path
        guard !hashes.isEmpty else { throw .wrongPathLength }
        var node = first - 1
        var last = second - 1
        while node & 1 == 1 {
            node >>= 1
            last >>= 1
        }
        let start = hashes.removeFirst()
        var old = start
        var new = start
        for hash in hashes {
            guard last != 0 else { throw .wrongPathLength }
            if node & 1 == 1 || node == last {
                old = hasher.node(hash, old)
                new = hasher.node(hash, new)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                new = hasher.node(new, hash)
            }
            node >>= 1
            last >>= 1
        }
        guard last == 0 else { throw .wrongPathLength }
        guard old == firstRoot, new == secondRoot else { throw .rootMismatch }
    }
}
