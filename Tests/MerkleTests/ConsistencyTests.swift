import Merkle
import OpenSSL
import Testing

@Suite("Consistency proofs")
struct ConsistencyTests {
    /// A claim that one tree begins with another.
    private struct Claim {
        var first: UInt64
        var second: UInt64
        var firstRoot: Digest
        var secondRoot: Digest
        var path: [Digest]

        init(_ first: UInt64, _ second: UInt64, of tree: ReferenceTree) {
            self.first = first
            self.second = second
            firstRoot = tree.root(count: first)
            secondRoot = tree.root(count: second)
            path = tree.proof(first, count: second)
        }

        /// The same with something about it changed.
        func with(_ change: (inout Claim) -> Void) -> Claim {
            var changed = self
            change(&changed)
            return changed
        }

        var refusal: ProofError? {
            var hasher = SHA256Hasher()
            do throws(ProofError) {
                try ProofVerifier.consistency(
                    first: first,
                    second: second,
                    firstRoot: firstRoot,
                    secondRoot: secondRoot,
                    path: path,
                    hasher: &hasher
                )
                return nil
            } catch {
                return error
            }
        }
    }

    @Test("Between all trees of up to 300 are those of RFC 6962, and hold")
    func allSmall() throws {
        let tree = ReferenceTree(distinct: 300)
        var hasher = SHA256Hasher()
        for second: UInt64 in 1...300 {
            let fetch = tree.fetch(size: second)
            for first in 1...second {
                let path = try ProofBuilder.consistency(first: first, second: second, hasher: &hasher, fetch: fetch)
                let claim = Claim(first, second, of: tree)
                let isRight = path == claim.path && claim.refusal == nil
                #expect(isRight, "\(first) to \(second)")
            }
        }
    }

    @Test("Between trees of up to 2^40 are those of RFC 6962, and hold", arguments: [1, 2, 3, 7])
    func large(distinct: Int) throws {
        let tree = ReferenceTree(distinct: distinct)
        var hasher = SHA256Hasher()
        var random = HashedNumbers()
        for round in 0..<200 {
            let second = random.number(bits: 1...40)
            var first = UInt64.random(in: 1...second, using: &random)
            // Every fourth first tree is complete: then its root is not repeated in the proof.
            if round % 4 == 0 { first = 1 << UInt64(63 - first.leadingZeroBitCount) }
            let path = try ProofBuilder.consistency(
                first: first,
                second: second,
                hasher: &hasher,
                fetch: tree.fetch(size: second)
            )
            let claim = Claim(first, second, of: tree)
            #expect(path == claim.path && claim.refusal == nil, "\(first) to \(second)")
        }
    }

    @Test("With any hash changed, moved, missing or added are refused")
    func changedPaths() {
        let tree = ReferenceTree(distinct: 36)
        var random = HashedNumbers()
        for second: UInt64 in 1...36 {
            for first in 1...second {
                let claim = Claim(first, second, of: tree)
                func refusal(_ change: (inout [Digest]) -> Void) -> ProofError? {
                    claim.with { change(&$0.path) }.refusal
                }
                for position in claim.path.indices {
                    let bit = Int.random(in: 0..<256, using: &random)
                    #expect(refusal { $0[position] = $0[position].flipped(bit) } == .rootMismatch)
                    #expect(refusal { $0.remove(at: position) } == .wrongPathLength)
                    for other in claim.path.indices.dropFirst(position + 1) {
                        #expect(refusal { $0.swapAt(position, other) } == .rootMismatch)
                    }
                }
                for position in 0...claim.path.count {
                    for hash in [.zero, claim.firstRoot, claim.secondRoot, claim.path.first ?? .zero] {
                        #expect(refusal { $0.insert(hash, at: position) } == .wrongPathLength)
                    }
                }
            }
        }
    }

    @Test("Between other roots or other sizes are refused")
    func changedClaims() {
        let tree = ReferenceTree(distinct: 40)
        var random = HashedNumbers()
        for second: UInt64 in 1...36 {
            for first in 1...second {
                let claim = Claim(first, second, of: tree)
                let bit = Int.random(in: 0..<256, using: &random)
                let wrongRoots = [claim.firstRoot.flipped(bit), .zero, tree.root(count: first - 1)]
                for wrong in wrongRoots {
                    #expect(claim.with { $0.firstRoot = wrong }.refusal == .rootMismatch)
                    #expect(claim.with { $0.secondRoot = wrong }.refusal == .rootMismatch)
                }
                if first < second {
                    #expect(claim.with { swap(&$0.firstRoot, &$0.secondRoot) }.refusal == .rootMismatch)
                    #expect(claim.with { $0.firstRoot = $0.secondRoot }.refusal == .rootMismatch)
                    #expect(claim.with { $0.secondRoot = $0.firstRoot }.refusal == .rootMismatch)
                    #expect(claim.with { swap(&$0.first, &$0.second) }.refusal == .firstLargerThanSecond)
                }
                let steps = ReferenceTree.steps(first, count: second)
                for other in Array(0...second * 2 + 2) + [1 << 32, 1 << 63, .max - 1, .max] {
                    let asFirst = 1...second ~= other && ReferenceTree.steps(other, count: second) == steps
                    #expect(
                        (claim.with { $0.first = other }.refusal == nil) == asFirst,
                        "\(first) to \(second) as \(other) to \(second)"
                    )
                    let asSecond = other >= first && ReferenceTree.steps(first, count: other) == steps
                    #expect(
                        (claim.with { $0.second = other }.refusal == nil) == asSecond,
                        "\(first) to \(second) as \(first) to \(other)"
                    )
                }
            }
        }
    }

    @Test("Of a tree with itself are empty, and of an empty tree there are none")
    func ends() {
        let tree = ReferenceTree(distinct: 5)
        let same = Claim(5, 5, of: tree)
        #expect(same.path.isEmpty && same.refusal == nil)
        #expect(same.with { $0.firstRoot = .zero }.refusal == .rootMismatch)
        #expect(same.with { $0.path = [.zero] }.refusal == .wrongPathLength)
        #expect(same.with { $0.first = .max }.refusal == .firstLargerThanSecond)
        for second: UInt64 in [0, 1, 5, .max] {
            let empty = same.with { ($0.first, $0.second, $0.firstRoot) = (0, second, tree.root(count: 0)) }
            #expect(empty.refusal == .emptyFirstTree)
            #expect(empty.with { $0.path = [$0.secondRoot] }.refusal == .emptyFirstTree)
        }
    }

    @Test("With hostile numbers are refused without harm")
    func hostile() {
        let tree = ReferenceTree(distinct: 1)
        let numbers: [UInt64] = [0, 1, 2, 3, 255, 1 << 31, 1 << 32, 1 << 62, 1 << 63 - 1, 1 << 63, .max - 1, .max]
        for first in numbers {
            for second in numbers {
                for count in [0, 1, 2, 31, 32, 33, 61, 62, 63, 64, 65, 128, 10_000] {
                    var claim = Claim(1, 1, of: tree)
                    (claim.first, claim.second) = (first, second)
                    claim.path = [Digest](repeating: .zero, count: count)
                    let isTrivial = first == second && first > 0 && count == 0
                    #expect((claim.refusal == nil) == isTrivial, "\(first) \(second) \(count)")
                }
            }
        }
    }
}
