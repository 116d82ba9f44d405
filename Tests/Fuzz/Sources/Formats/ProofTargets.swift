import Driver
import Merkle
import OpenSSL

extension Input {
    fileprivate mutating func number() -> UInt64 { bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }

    /// The hashes of a path, 4 bytes of each its own.
    fileprivate mutating func hashes() -> [Digest] {
        var hashes: [Digest] = []
        while !isEmpty, hashes.count < 80 {
            let own = bytes(4)
            hashes.append(Digest(own + [UInt8](repeating: 0, count: 32 - own.count)) ?? .zero)
        }
        return hashes
    }
}

@Sendable func fuzzProofs(_ bytes: [UInt8]) {
    var input = Input(bytes)
    let (first, second) = (input.number(), input.number())
    let path = input.hashes()
    checkInclusion(index: first, size: second, path: path)
    checkConsistency(first: first, second: second, path: path)
    checkBuilder(first & (1 << 63 - 1), second & (1 << 63 - 1))
}

private func bitCount(_ number: UInt64) -> Int { 64 - number.leadingZeroBitCount }

private func checkInclusion(index: UInt64, size: UInt64, path: [Digest]) {
    var hasher = SHA256Hasher()
    do throws(ProofError) {
        let root = try ProofVerifier.root(leaf: .zero, index: index, size: size, path: path, hasher: &hasher)
        check(index < size)
        // Counted another way than the verifier does: below the fork to the last entry, and to the left above it.
        let below = bitCount(index ^ (size - 1))
        let above = below == 64 ? 0 : (index >> UInt64(below)).nonzeroBitCount
        check(path.count == below + above, "a path of the wrong length is accepted")
        check(root != .zero || path.isEmpty)
        try ProofVerifier.inclusion(leaf: .zero, index: index, size: size, path: path, root: root, hasher: &hasher)
    } catch {
        check(error != .rootMismatch, "the root that was computed is not the one that is accepted")
    }
}

private func checkConsistency(first: UInt64, second: UInt64, path: [Digest]) {
    var hasher = SHA256Hasher()
    let (old, new) = (hasher.hash([0]), hasher.hash([1]))
    do throws(ProofError) {
        try ProofVerifier.consistency(
            first: first,
            second: second,
            firstRoot: old,
            secondRoot: new,
            path: path,
            hasher: &hasher
        )
        fatalError("two roots of nothing are consistent")
    } catch {
        guard error == .rootMismatch else { return }
        check(0 < first && first <= second)
        guard first < second else { return check(path.isEmpty) }
        let below = bitCount((first - 1) ^ (second - 1))
        let above = below == 64 ? 0 : ((first - 1) >> UInt64(below)).nonzeroBitCount
        let start = first.nonzeroBitCount == 1 ? 0 : 1
        check(
            path.count == start + below - first.trailingZeroBitCount + above,
            "a path of the wrong length is accepted"
        )
    }
}

/// The hashes of complete subtrees of a tree whose entries are all the same, level by level.
private let subtrees: [Digest] = {
    var hasher = SHA256Hasher()
    var subtrees = [hasher.leaf([])]
    for level in 0..<63 { subtrees.append(hasher.node(subtrees[level], subtrees[level])) }
    return subtrees
}()

/// What is built for a tree of any size is accepted.
private func checkBuilder(_ one: UInt64, _ other: UInt64) {
    let (first, second) = (min(one, other), max(one, other))
    guard first < second else { return }
    var hasher = SHA256Hasher()
    func fetch(_ node: NodeID) -> Digest {
        check(node.completedBy < second, "a subtree is asked for that the tree does not have")
        return subtrees[Int(node.level)]
    }
    do {
        let root = try ProofBuilder.root(size: second, hasher: &hasher, fetch: fetch)
        let path = try ProofBuilder.inclusion(index: first, size: second, hasher: &hasher, fetch: fetch)
        try ProofVerifier.inclusion(
            leaf: subtrees[0],
            index: first,
            size: second,
            path: path,
            root: root,
            hasher: &hasher
        )
        guard first > 0 else { return }
        try ProofVerifier.consistency(
            first: first,
            second: second,
            firstRoot: ProofBuilder.root(size: first, hasher: &hasher, fetch: fetch),
            secondRoot: root,
            path: ProofBuilder.consistency(first: first, second: second, hasher: &hasher, fetch: fetch),
            hasher: &hasher
        )
    } catch {
        fatalError("a proof that was built is refused: \(error)")
    }
}
