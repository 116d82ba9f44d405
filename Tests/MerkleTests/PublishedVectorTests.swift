import Merkle
import OpenSSL
import Testing

@Suite("Published vectors of another implementation")
struct PublishedVectorTests {
    private let leaves: [Digest]

    init() throws {
        var hasher = SHA256Hasher()
        leaves = try PublishedVectors.entries.map { hasher.leaf(try #require(Hex.decode($0))) }
    }

    private static func fetch(_ node: NodeID) throws -> Digest {
        try #require(Digest(hex: PublishedVectors.nodes[Int(node.level)][Int(node.index)]))
    }

    @Test("Leaf hashes, subtrees and roots")
    func trees() throws {
        var hasher = SHA256Hasher()
        var edge = CompactRange()
        #expect(edge.root(&hasher).hex == PublishedVectors.roots[0])
        for (position, leaf) in leaves.enumerated() {
            var completed: [String] = []
            edge.append(leaf, hasher: &hasher) { level, hash in
                #expect(hash.hex == PublishedVectors.nodes[Int(level)][position >> Int(level)])
                completed.append(hash.hex)
            }
            #expect(completed.first == PublishedVectors.nodes[0][position])
            #expect(edge.root(&hasher).hex == PublishedVectors.roots[position + 1])
        }
        let root = try ProofBuilder.root(size: 8, hasher: &hasher, fetch: PublishedVectorTests.fetch)
        #expect(root.hex == PublishedVectors.roots[8])
    }

    @Test("Inclusion proofs")
    func inclusion() throws {
        var hasher = SHA256Hasher()
        for (index, size, hashes) in PublishedVectors.inclusion {
            let path = try hashes.map { try #require(Digest(hex: $0)) }
            try ProofVerifier.inclusion(
                leaf: leaves[Int(index)],
                index: index,
                size: size,
                path: path,
                root: try #require(Digest(hex: PublishedVectors.roots[Int(size)])),
                hasher: &hasher
            )
            let built = try ProofBuilder.inclusion(
                index: index,
                size: size,
                hasher: &hasher,
                fetch: PublishedVectorTests.fetch
            )
            #expect(built == path, "\(index) in \(size)")
        }
    }

    @Test("Consistency proofs")
    func consistency() throws {
        var hasher = SHA256Hasher()
        for (first, second, hashes) in PublishedVectors.consistency {
            let path = try hashes.map { try #require(Digest(hex: $0)) }
            try ProofVerifier.consistency(
                first: first,
                second: second,
                firstRoot: try #require(Digest(hex: PublishedVectors.roots[Int(first)])),
                secondRoot: try #require(Digest(hex: PublishedVectors.roots[Int(second)])),
                path: path,
                hasher: &hasher
            )
            let built = try ProofBuilder.consistency(
                first: first,
                second: second,
                hasher: &hasher,
                fetch: PublishedVectorTests.fetch
            )
            #expect(built == path, "\(first) to \(second)")
        }
    }
}
