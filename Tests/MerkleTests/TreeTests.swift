import Merkle
import OpenSSL
import Testing

@Suite("Trees")
struct TreeTests {
    @Test("Appending entry by entry gives the root of RFC 6962, and every complete subtree as it completes")
    func appending() throws {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        var edge = CompactRange()
        #expect(edge.size == 0 && edge.peaks.isEmpty)
        #expect(edge.root(&hasher) == tree.root(count: 0))
        for size: UInt64 in 1...300 {
            var completed: [(level: UInt8, hash: Digest)] = []
            edge.append(tree.leaf(size - 1), hasher: &hasher) { completed.append(($0, $1)) }
            #expect(edge.size == size)
            #expect(edge.root(&hasher) == tree.root(count: size), "size \(size)")
            #expect(completed.map(\.level) == (0...UInt8(size.trailingZeroBitCount)).map { $0 })
            for (level, hash) in completed {
                let node = NodeID(level: level, index: (size - 1) >> UInt64(level))
                #expect(node.completedBy == size - 1)
                #expect(try hash == tree.fetch(size: size)(node), "\(node)")
            }
            #expect(try edge.peaks == ProofBuilder.peaks(size: size).map(tree.fetch(size: size)))
            #expect(CompactRange(size: size, peaks: edge.peaks) == edge)
            #expect(CompactRange(size: size, peaks: edge.peaks + [.zero]) == nil)
            #expect(CompactRange(size: size, peaks: Array(edge.peaks.dropLast())) == nil)
        }
    }

    @Test("Appending subtree by subtree gives what appending leaf by leaf gives")
    func appendingSubtrees() throws {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        for level: UInt8 in 0...6 {
            let width = UInt64(1) << UInt64(level)
            var byLeaves = CompactRange()
            var bySubtrees = CompactRange()
            for number in 0..<(300 / width) {
                var above: [Digest] = []
                for index in number * width..<(number + 1) * width {
                    // What the last leaf completes ends with the subtree itself and those above it.
                    above = []
                    byLeaves.append(tree.leaf(index), hasher: &hasher) { if $0 >= level { above.append($1) } }
                }
                let subtree = tree.root(from: number * width, count: width)
                var completed: [(level: UInt8, hash: Digest)] = []
                bySubtrees.append(subtree: subtree, level: level, hasher: &hasher) { completed.append(($0, $1)) }
                #expect(bySubtrees == byLeaves && bySubtrees.size == (number + 1) * width)
                #expect(completed.map(\.hash) == above, "level \(level), number \(number)")
                let levels = (0...UInt8((number + 1).trailingZeroBitCount)).map { level + $0 }
                #expect(completed.map(\.level) == levels)
            }
        }
    }

    @Test("Subtrees of falling size make the tree of all their leaves")
    func joinedSubtrees() {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        var joined = CompactRange()
        // A tree of whole chunks of 64 leaves and one that is not whole, as chunks of a ledger are joined.
        for (start, count) in [(0, 64), (64, 64), (128, 64), (192, 45)] as [(UInt64, UInt64)] {
            var first = start
            for peak in ProofBuilder.peaks(size: count) {
                let width = UInt64(1) << UInt64(peak.level)
                let subtree = tree.root(from: first, count: width)
                joined.append(subtree: subtree, level: peak.level, hasher: &hasher) { _, _ in }
                first += width
            }
        }
        #expect(joined.size == 237 && joined.root(&hasher) == tree.root(count: 237))
    }

    @Test("Roots are folded from complete subtrees")
    func roots() throws {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        for size: UInt64 in 0...300 {
            let root = try ProofBuilder.root(size: size, hasher: &hasher, fetch: tree.fetch(size: size))
            #expect(root == tree.root(count: size), "size \(size)")
        }
    }

    @Test("Peaks are the powers of two a size consists of, the largest first")
    func peaks() {
        #expect(ProofBuilder.peaks(size: 0).isEmpty)
        #expect(ProofBuilder.peaks(size: 1) == [NodeID(level: 0, index: 0)])
        #expect(
            ProofBuilder.peaks(size: 11)
                == [NodeID(level: 3, index: 0), NodeID(level: 1, index: 4), NodeID(level: 0, index: 10)]
        )
        #expect(ProofBuilder.peaks(size: 1 << 62) == [NodeID(level: 62, index: 0)])
        let most = ProofBuilder.peaks(size: 1 << 63 - 1)
        #expect(most.count == 63 && most.first == NodeID(level: 62, index: 0))
        #expect(most.last == NodeID(level: 0, index: 1 << 63 - 2))
    }

    @Test("Trees of up to 2^40 entries grow as small ones do", arguments: [1, 2, 3, 7])
    func largeTrees(distinct: Int) throws {
        let tree = ReferenceTree(distinct: distinct)
        var hasher = SHA256Hasher()
        var random = HashedNumbers()
        for _ in 0..<150 {
            let size = random.number(bits: 1...40)
            let fetch = tree.fetch(size: size)
            #expect(try ProofBuilder.root(size: size, hasher: &hasher, fetch: fetch) == tree.root(count: size))
            let peaks = try ProofBuilder.peaks(size: size).map(fetch)
            var edge = try #require(CompactRange(size: size, peaks: peaks))
            #expect(edge.root(&hasher) == tree.root(count: size))
            var levels = 0
            edge.append(tree.leaf(size), hasher: &hasher) { _, _ in levels += 1 }
            #expect(levels == (size + 1).trailingZeroBitCount + 1)
            #expect(edge.size == size + 1 && edge.root(&hasher) == tree.root(count: size + 1), "size \(size)")
        }
    }

    @Test("A subtree is completed by its last leaf")
    func completedBy() {
        #expect(NodeID(level: 0, index: 5).completedBy == 5)
        #expect(NodeID(level: 3, index: 0).completedBy == 7)
        #expect(NodeID(level: 8, index: 2).completedBy == 767)
        #expect(NodeID(level: 62, index: 1).completedBy == UInt64(Int64.max))
        #expect(NodeID(level: 63, index: 1).completedBy == .max)
    }
}
