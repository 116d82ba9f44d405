import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("tlog-proofs")
struct TlogProofTests {
    private static let origin = "example.com/ledger"

    /// A signed tree of `count` entries, entry n being n times the letter x.
    private struct Tree {
        let leaves: [Digest]
        let key: TestKey
        let checkpoint: Checkpoint
        let note: String

        init(count: Int) throws {
            var hasher = SHA256Hasher()
            leaves = (0..<count).map { hasher.leaf([UInt8](repeating: UInt8(ascii: "x"), count: $0)) }
            key = try TestKey(name: TlogProofTests.origin)
            checkpoint = Checkpoint(
                origin: TlogProofTests.origin,
                size: UInt64(count),
                root: Tree.root(leaves[...], &hasher)
            )
            note = try SignedNote.signed(checkpoint.text, by: key).encoded
        }

        /// MTH of RFC 6962 section 2.1, word for word.
        static func root(_ leaves: ArraySlice<Digest>, _ hasher: inout SHA256Hasher) -> Digest {
            guard leaves.count > 1 else { return leaves.first ?? hasher.empty() }
            var split = 1
            while split * 2 < leaves.count { split *= 2 }
            let middle = leaves.startIndex + split
            return hasher.node(root(leaves[..<middle], &hasher), root(leaves[middle...], &hasher))
        }

        /// PATH of RFC 6962 section 2.1.1.
        static func path(_ index: Int, _ leaves: ArraySlice<Digest>, _ hasher: inout SHA256Hasher) -> [Digest] {
            guard leaves.count > 1 else { return [] }
            var split = 1
            while split * 2 < leaves.count { split *= 2 }
            let middle = leaves.startIndex + split
            return index < middle
                ? path(index, leaves[..<middle], &hasher) + [root(leaves[middle...], &hasher)]
                : path(index, leaves[middle...], &hasher) + [root(leaves[..<middle], &hasher)]
        }

        func proof(_ index: Int) -> TlogProof {
            var hasher = SHA256Hasher()
            return TlogProof(index: UInt64(index), path: Tree.path(index, leaves[...], &hasher), note: note)
        }

        func verify(_ proof: TlogProof, leaf: Int, origin: String = TlogProofTests.origin) throws -> Checkpoint {
            var hasher = SHA256Hasher()
            return try proof.verify(
                leaf: leaves[leaf],
                origin: origin,
                verifiers: [PublicKeyVerifier(key.verificationKey)],
                hasher: &hasher
            )
        }
    }

    @Test("verify for every entry of a tree, after a journey as text", arguments: [1, 2, 3, 7, 8, 11])
    func everyEntry(count: Int) throws {
        let tree = try Tree(count: count)
        for index in 0..<count {
            let proof = try TlogProof(parsing: tree.proof(index).encoded)
            #expect(proof == tree.proof(index))
            #expect(try tree.verify(proof, leaf: index) == tree.checkpoint)
            for other in 0..<count where other != index {
                #expect(throws: ProofError.self) { try tree.verify(proof, leaf: other) }
            }
        }
    }

    @Test("have the lines of the specification")
    func lines() throws {
        let tree = try Tree(count: 3)
        var hasher = SHA256Hasher()
        let sibling = hasher.node(tree.leaves[0], tree.leaves[1])
        #expect(
            tree.proof(2).encoded == "c2sp.org/tlog-proof@v1\nindex 2\n"
                + "\(sibling.base64)\n\n\(tree.note)"
        )
    }

    @Test("changed in any byte are refused")
    func everyByte() throws {
        let tree = try Tree(count: 7)
        let text = Array(tree.proof(4).encoded.utf8)
        for position in text.indices {
            for mask: UInt8 in [0x01, 0x04, 0x20] {
                var changed = text
                changed[position] ^= mask
                #expect(throws: (any Error).self, "byte \(position)") {
                    try tree.verify(try TlogProof(parsing: String(decoding: changed, as: UTF8.self)), leaf: 4)
                }
            }
        }
    }

    @Test("with another index, path, checkpoint, origin or key are refused")
    func fields() throws {
        let tree = try Tree(count: 7)
        let good = tree.proof(4)
        _ = try tree.verify(good, leaf: 4)
        for index: UInt64 in [0, 3, 5, 6, 7, 8, .max] {
            #expect(throws: ProofError.self) {
                try tree.verify(TlogProof(index: index, path: good.path, note: good.note), leaf: 4)
            }
        }
        let paths = [
            [], Array(good.path.dropLast()), Array(good.path.dropFirst()), good.path + [.zero], good.path.reversed(),
        ]
        for path in paths {
            #expect(throws: ProofError.self) {
                try tree.verify(TlogProof(index: 4, path: path, note: good.note), leaf: 4)
            }
        }
        #expect(throws: NoteError.self) { try tree.verify(good, leaf: 4, origin: "example.com/other") }
        #expect(throws: ProofError.self) {
            try tree.verify(TlogProof(index: 4, path: good.path, note: Tree(count: 8).note), leaf: 4)
        }
        let stranger = try TestKey(name: TlogProofTests.origin, seed: String(repeating: "5a", count: 32))
        let forged = try SignedNote.signed(tree.checkpoint.text, by: stranger).encoded
        #expect(throws: NoteError(.noKnownSignature, "the key given signed none of them")) {
            try tree.verify(TlogProof(index: 4, path: good.path, note: forged), leaf: 4)
        }
        // Rightly signed, for another log of the same operator.
        let elsewhere = Checkpoint(origin: "example.com/other", size: 7, root: tree.checkpoint.root)
        let note = try SignedNote.signed(elsewhere.text, by: tree.key).encoded
        #expect(throws: NoteError.self) {
            try tree.verify(TlogProof(index: 4, path: good.path, note: note), leaf: 4)
        }
    }

    @Test("may carry an extra line, which is kept")
    func extra() throws {
        let tree = try Tree(count: 3)
        let text = tree.proof(1).encoded.replacing("index 1\n", with: "extra aGVsbG8=\nindex 1\n")
        let proof = try TlogProof(parsing: text)
        #expect(proof.extra == Array("hello".utf8))
        #expect(proof.encoded == text)
        #expect(try tree.verify(proof, leaf: 1) == tree.checkpoint)
    }

    @Test("of a ledger whose name only looks alike are refused")
    func lookAlikes() throws {
        var hasher = SHA256Hasher()
        let leaf = hasher.leaf([])
        let key = try TestKey(name: "K.example/l")
        let note = try SignedNote.signed(Checkpoint(origin: "\u{212A}.example/l", size: 1, root: leaf).text, by: key)
        let proof = TlogProof(index: 0, path: [], note: note.encoded)
        #expect { try proof.verify(leaf: leaf, origin: "K.example/l", verifiers: [key], hasher: &hasher) } throws: {
            ($0 as? NoteError)?.code == .malformedCheckpoint
        }
    }

    @Test("that are malformed are refused")
    func malformed() throws {
        let tree = try Tree(count: 3)
        let text = tree.proof(1).encoded
        let hash = tree.leaves[0].base64
        let malformed = [
            "", "\n\n", "c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\n\n" + tree.note, tree.note,
            text.replacing("@v1", with: "@v2"), " " + text, "\n" + text,
            text.replacing("index 1", with: "index 01"), text.replacing("index 1", with: "index +1"),
            text.replacing("index 1", with: "index -1"), text.replacing("index 1", with: "index  1"),
            text.replacing("index 1", with: "index 1 "), text.replacing("index 1", with: "Index 1"),
            text.replacing("index 1", with: "index 18446744073709551616"), text.replacing("index 1\n", with: ""),
            text.replacing("index 1\n", with: "index 1\nindex 1\n"),
            text.replacing("index 1\n", with: "index 1\nextra aGVsbG8=\n"),
            text.replacing("index 1\n", with: "extra aGVsbG8\nindex 1\n"),
            text.replacing(hash, with: hash + "="), text.replacing(hash, with: String(hash.dropLast())),
            text.replacing("\n", with: "\r\n"), text.replacing("index 1", with: "index\u{301} 1"),
            text.replacing("index 1", with: "index \u{301}1"), text.replacing("index 1", with: "index 1\u{301}"),
            text.replacing("index 1\n", with: "extra \u{301}aGVsbG8=\nindex 1\n"),
            text.replacing(hash, with: " " + hash), text.replacing(hash + "\n", with: hash + "\r\n"),
            text.replacing("index 1\n", with: "index 1\n" + String(repeating: hash + "\n", count: 62)),
        ]
        for proof in malformed {
            #expect("\(proof.prefix(200))") { try TlogProof(parsing: proof) } throws: {
                ($0 as? NoteError)?.code == .malformedProof
            }
        }
        let longest = text.replacing("index 1\n", with: "index 1\n" + String(repeating: hash + "\n", count: 61))
        #expect(try TlogProof(parsing: longest).path.count == 63)
        #expect(throws: ProofError.self) { try tree.verify(try TlogProof(parsing: longest), leaf: 1) }
    }
}
