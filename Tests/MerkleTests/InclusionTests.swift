import Merkle
import OpenSSL
import Testing

@Suite("Inclusion proofs")
struct InclusionTests {
    private static func refusal(
        _ leaf: Digest,
        _ index: UInt64,
        _ size: UInt64,
        _ path: [Digest],
        _ root: Digest
    ) -> ProofError? {
        var hasher = SHA256Hasher()
        do throws(ProofError) {
            try ProofVerifier.inclusion(
                leaf: leaf,
                index: index,
                size: size,
                path: path,
                root: root,
                hasher: &hasher
            )
            return nil
        } catch {
            return error
        }
    }

    @Test("Of every entry in every tree of up to 300 are those of RFC 6962, and hold")
    func allSmall() throws {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        for size: UInt64 in 1...300 {
            let root = tree.root(count: size)
            let fetch = tree.fetch(size: size)
            for index in 0..<size {
                let path = try ProofBuilder.inclusion(index: index, size: size, hasher: &hasher, fetch: fetch)
                let isRight = path == tree.path(index, count: size)
                let refusal = InclusionTests.refusal(tree.leaf(index), index, size, path, root)
                #expect(isRight && refusal == nil, "\(index) in \(size)")
            }
        }
    }

    @Test("In trees of up to 2^40 are those of RFC 6962, and hold", arguments: [1, 2, 3, 7])
    func large(distinct: Int) throws {
        let tree = ReferenceTree(distinct: distinct)
        var hasher = SHA256Hasher()
        var random = HashedNumbers()
        for round in 0..<200 {
            let size = random.number(bits: 1...40)
            // The right edge is where large trees differ from complete ones.
            let index = round % 4 == 0 ? size - 1 : UInt64.random(in: 0..<size, using: &random)
            let path = try ProofBuilder.inclusion(
                index: index,
                size: size,
                hasher: &hasher,
                fetch: tree.fetch(size: size)
            )
            #expect(path == tree.path(index, count: size), "\(index) in \(size)")
            let root = tree.root(count: size)
            #expect(InclusionTests.refusal(tree.leaf(index), index, size, path, root) == nil)
        }
    }

    @Test("Of the largest trees there may be hold", arguments: [62, 63])
    func largest(bits: UInt64) throws {
        let tree = ReferenceTree(distinct: 1)
        var hasher = SHA256Hasher()
        let sizes: [UInt64] = [1 << (bits - 1) + 1, 1 << bits - 1]
        for size in sizes {
            for index in [0, 1, size / 2, size - 2, size - 1] {
                let path = try ProofBuilder.inclusion(
                    index: index,
                    size: size,
                    hasher: &hasher,
                    fetch: tree.fetch(size: size)
                )
                #expect(path.count <= 63)
                #expect(InclusionTests.refusal(tree.leaf(index), index, size, path, tree.root(count: size)) == nil)
            }
        }
    }

    @Test("With any hash changed, moved, missing or added are refused")
    func changedPaths() {
        let tree = ReferenceTree(distinct: 40)
        var random = HashedNumbers()
        for size: UInt64 in 1...40 {
            let root = tree.root(count: size)
            for index in 0..<size {
                let (leaf, path) = (tree.leaf(index), tree.path(index, count: size))
                func refusal(_ path: [Digest]) -> ProofError? { InclusionTests.refusal(leaf, index, size, path, root) }
                for position in path.indices {
                    var changed = path
                    changed[position] = path[position].flipped(Int.random(in: 0..<256, using: &random))
                    #expect(refusal(changed) == .rootMismatch)
                    changed = path
                    changed.remove(at: position)
                    #expect(refusal(changed) == .wrongPathLength)
                    for other in path.indices.dropFirst(position + 1) {
                        changed = path
                        changed.swapAt(position, other)
                        #expect(refusal(changed) == .rootMismatch)
                    }
                }
                for position in 0...path.count {
                    for hash in [.zero, root, leaf, path.first ?? leaf] {
                        var changed = path
                        changed.insert(hash, at: position)
                        #expect(refusal(changed) == .wrongPathLength)
                    }
                }
            }
        }
    }

    @Test("Of another entry, for another root, at another index or size are refused")
    func changedClaims() {
        let tree = ReferenceTree(distinct: 40)
        var random = HashedNumbers()
        for size: UInt64 in 1...40 {
            let root = tree.root(count: size)
            for index in 0..<size {
                let (leaf, path) = (tree.leaf(index), tree.path(index, count: size))
                let bit = Int.random(in: 0..<256, using: &random)
                for wrong in [leaf.flipped(bit), .zero, tree.leaf((index + 1) % 40)] {
                    #expect(InclusionTests.refusal(wrong, index, size, path, root) == .rootMismatch)
                }
                for wrong in [root.flipped(bit), .zero, tree.root(count: size + 1), tree.root(count: 0)] {
                    #expect(InclusionTests.refusal(leaf, index, size, path, wrong) == .rootMismatch)
                }
                let sides = ReferenceTree.sides(index, count: size)
                let far: [UInt64] = [1 << 32, 1 << 63, .max - 1, .max]
                for other in Array(0..<size + 4) + far where other != index {
                    let refusal = InclusionTests.refusal(leaf, other, size, path, root)
                    #expect(refusal != nil, "\(index) as \(other) in \(size)")
                }
                for other in Array(0...size * 2 + 2) + far {
                    let isSame = other > index && ReferenceTree.sides(index, count: other) == sides
                    let refusal = InclusionTests.refusal(leaf, index, other, path, root)
                    #expect((refusal == nil) == isSame, "\(index) in \(size) as \(other)")
                }
            }
        }
    }

    @Test("With hostile numbers are refused without harm")
    func hostile() {
        let numbers: [UInt64] = [0, 1, 2, 3, 255, 1 << 31, 1 << 32, 1 << 62, 1 << 63 - 1, 1 << 63, .max - 1, .max]
        for index in numbers {
            for size in numbers {
                for count in [0, 1, 2, 31, 32, 33, 61, 62, 63, 64, 65, 128, 10_000] {
                    let path = [Digest](repeating: .zero, count: count)
                    let refusal = InclusionTests.refusal(.zero, index, size, path, .zero)
                    // A leaf that claims to be the root of its own tree of one is the only one that is right.
                    let isTrivial = index == 0 && size == 1 && count == 0
                    #expect((refusal == nil) == isTrivial, "\(index) \(size) \(count)")
                    #expect((refusal == .indexOutOfRange) == (index >= size), "\(index) \(size) \(count)")
                }
            }
        }
    }
}
