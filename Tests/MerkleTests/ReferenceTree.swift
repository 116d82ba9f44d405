import Merkle
import OpenSSL

/// The tree of RFC 6962 section 2.1, recursive as it stands there. Its leaves repeat, so that it has any size.
final class ReferenceTree {
    /// A stretch of leaves is known by where in the pattern it begins, and how long it is.
    private struct Stretch: Hashable {
        let phase: UInt64
        let count: UInt64
    }

    /// A step of a consistency proof, from the first tree's last subtree up.
    enum Step {
        case firstRoot, subtree, onTheLeft, onTheRight
    }

    private let pattern: [Digest]
    private var roots: [Stretch: Digest] = [:]
    private var hasher = SHA256Hasher()

    /// A tree whose first `distinct` leaves differ from each other.
    init(distinct: Int) {
        var hasher = SHA256Hasher()
        pattern = (0..<distinct).map { hasher.leaf(Array("entry \($0)".utf8)) }
    }

    func leaf(_ index: UInt64) -> Digest { pattern[Int(index % UInt64(pattern.count))] }

    /// MTH(D[start:start + count]).
    func root(from start: UInt64 = 0, count: UInt64) -> Digest {
        if count == 0 { return hasher.empty() }
        if count == 1 { return leaf(start) }
        let stretch = Stretch(phase: start % UInt64(pattern.count), count: count)
        if let root = roots[stretch] { return root }
        let split = ReferenceTree.split(count)
        let left = root(from: start, count: split)
        let right = root(from: start + split, count: count - split)
        let root = hasher.node(left, right)
        roots[stretch] = root
        return root
    }

    /// PATH(index, D[start:start + count]).
    func path(_ index: UInt64, from start: UInt64 = 0, count: UInt64) -> [Digest] {
        if count == 1 { return [] }
        let split = ReferenceTree.split(count)
        if index < split {
            return path(index, from: start, count: split) + [root(from: start + split, count: count - split)]
        }
        return path(index - split, from: start + split, count: count - split) + [root(from: start, count: split)]
    }

    /// SUBPROOF(first, D[start:start + count], whole); with the defaults, PROOF(first, D[count]).
    func proof(_ first: UInt64, from start: UInt64 = 0, count: UInt64, whole: Bool = true) -> [Digest] {
        if first == count { return whole ? [] : [root(from: start, count: count)] }
        let split = ReferenceTree.split(count)
        if first <= split {
            return proof(first, from: start, count: split, whole: whole)
                + [root(from: start + split, count: count - split)]
        }
        return proof(first - split, from: start + split, count: count - split, whole: false)
            + [root(from: start, count: split)]
    }

    /// The complete subtrees of a tree of `size`; asking for any other is a mistake of the one who asks.
    func fetch(size: UInt64) -> (NodeID) throws -> Digest {
        { node in
            let (count, start) = (UInt64(1) << UInt64(node.level), node.index << UInt64(node.level))
            guard start >> UInt64(node.level) == node.index, start < size, count <= size - start else {
                throw NoSuchNode(node: node)
            }
            return self.root(from: start, count: count)
        }
    }

    struct NoSuchNode: Error { let node: NodeID }

    /// On which side of each hash of an inclusion path the entry lies. Two places with the same sides have the same
    /// proof: an inclusion path does not say how large the tree is.
    static func sides(_ index: UInt64, count: UInt64) -> [Step] {
        if count == 1 { return [] }
        let split = split(count)
        return index < split
            ? sides(index, count: split) + [.onTheRight] : sides(index - split, count: count - split) + [.onTheLeft]
    }

    /// What each hash of a consistency proof is, and what it begins with. As with inclusion, sizes may share this.
    static func steps(_ first: UInt64, count: UInt64, whole: Bool = true) -> [Step] {
        if first == count { return [whole ? .firstRoot : .subtree] }
        let split = split(count)
        return first <= split
            ? steps(first, count: split, whole: whole) + [.onTheRight]
            : steps(first - split, count: count - split, whole: false) + [.onTheLeft]
    }

    /// The largest power of two smaller than `count`.
    static func split(_ count: UInt64) -> UInt64 {
        var split: UInt64 = 1
        while split < count - split { split *= 2 }
        return split
    }
}

/// SHA-256 of a counter: the same numbers on every machine.
struct HashedNumbers: RandomNumberGenerator {
    private let hasher = SHA256Hasher()
    private var counter: UInt64 = 0

    mutating func next() -> UInt64 {
        counter += 1
        return digest().bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func digest() -> Digest { hasher.hash(Array("\(counter)".utf8)) }

    /// A hash no tree has.
    mutating func hash() -> Digest {
        counter += 1
        return digest()
    }

    /// A number with as many bits as it falls, so that small ones occur as well.
    mutating func number(bits: ClosedRange<Int>) -> UInt64 {
        let count = Int.random(in: bits, using: &self)
        guard count > 0 else { return 0 }
        let lowest: UInt64 = 1 << UInt64(count - 1)
        return UInt64.random(in: lowest...(lowest - 1 + lowest), using: &self)
    }
}

extension Digest {
    /// The same but for one bit.
    func flipped(_ bit: Int) -> Digest {
        var bytes = bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        return Digest(bytes) ?? .zero
    }
}
