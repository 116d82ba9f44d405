import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("The worked example of ledger-format.md")
struct WorkedExampleTests {
    @Test("prints what the document says it prints")
    func commandsPrintWhatIsWritten() throws {
        let example = try WorkedExample()
        for (step, result) in zip(example.steps, try example.run()) {
            #expect(result.status == 0, "\(step.commands)\(result.errors)")
            #expect(result.output == step.printed, "\(step.commands)\(result.errors)")
        }
    }

    @Test("comes out the same by this code")
    func codeAgrees() throws {
        let example = try WorkedExample()
        _ = try example.run()
        var hasher = SHA256Hasher()

        let key = try TestKey(name: example.text("origin"))
        #expect(try key.verificationKey.text + "\n" == example.text("vkey"))
        #expect(try key.verificationKey.publicKey == example.file("public"))

        var leaves: [Digest] = []
        var tree = CompactRange()
        for index in 0..<3 {
            let bytes = try example.file("entry\(index)")
            let entry = try Entry(bytes)
            #expect(entry.encoded == bytes)
            #expect(entry.index == UInt64(index))
            #expect(entry.previous == leaves.last ?? .zero)
            #expect(try #require(EventCatalogue.type(named: entry.type)).contradiction(entry) == nil)
            let leaf = hasher.leaf(bytes)
            #expect(try leaf.bytes == example.file("leaf\(index)"))
            leaves.append(leaf)
            tree.append(leaf, hasher: &hasher, completed: { _, _ in })
            if index > 0 { #expect(try tree.root(&hasher).bytes == example.file("root\(index + 1)")) }
        }
        #expect(try leaves.flatMap(\.bytes) == example.file("tile"))

        let checkpoint = Checkpoint(origin: key.name, size: 3, root: tree.root(&hasher))
        let note = try SignedNote.signed(checkpoint.text, by: key)
        #expect(try note.encoded == example.text("checkpoint"))

        let path = try ProofBuilder.inclusion(index: 1, size: 3, hasher: &hasher) { leaves[Int($0.index)] }
        let proof = TlogProof(index: 1, path: path, note: note.encoded)
        #expect(try proof.encoded == example.text("receipt.tlog-proof"))
        let read = try TlogProof(parsing: example.text("receipt.tlog-proof"))
        #expect(read == proof)
        #expect(
            try read.verify(leaf: leaves[1], origin: key.name, verifiers: [key], hasher: &hasher) == checkpoint
        )

        let second = try TestKey(
            name: example.text("origin2"),
            seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        )
        let entry = try Entry(example.file("entry3"))
        #expect(try entry.encoded == example.file("entry3") && entry.previous == leaves[2])
        #expect(try #require(EventCatalogue.type(named: entry.type)).contradiction(entry) == nil)
        let recovery = try Recovery(entry)
        #expect(recovery.checkpointKey == second.verificationKey.text && recovery.origin == second.name)
        #expect(recovery.tree == Recovery.Tree(size: 3, root: checkpoint.root) && recovery.lock == nil)
        #expect(try recovery.statement(from: key.name) == example.file("statement"))
        #expect(try recovery.succession == example.file("succession") && recovery.isSigned(by: key))
        #expect(try key.sign(recovery.statement(from: key.name)) == recovery.succession)
        #expect(!recovery.isSigned(by: second))

        let consistency = try ProofBuilder.consistency(first: 2, second: 3, hasher: &hasher) { leaves[Int($0.index)] }
        #expect(consistency == [leaves[2]])
    }

    @Test("has an entry this code writes byte for byte, claims included")
    func codeWritesTheEntry() throws {
        let example = try WorkedExample()
        _ = try example.run()
        let hasher = SHA256Hasher()
        let object = try #require(StreamID("object/019b76da4c0c00000000000000000002"))
        let openings = [
            Opening(
                scope: object,
                name: "sha256",
                salt: Array(0x00...0x1F),
                value: .string(hasher.hash(try example.file("document")).hex)
            ),
            Opening(scope: object, name: "size", salt: Array(0x20...0x3F), value: .int(21)),
        ]
        #expect(try openings[0].preimage == example.file("preimage1"))
        #expect(try openings[1].preimage == example.file("preimage2"))

        let submission = try Submission(
            type: #require(EventCatalogue.type(named: "evidence.deposited")),
            request: #require(RequestKey("019b76da-4c0c-7000-8000-000000000002")),
            actor: .system,
            streams: [object],
            body: JSONObjectText([
                JSONMember(name: "product", value: .string("deposit")),
                JSONMember(name: "channel", value: .string("api")),
                JSONMember(name: "media_type", value: .string("text/plain")),
            ]),
            claims: [
                Submission.Scope(
                    scope: object,
                    claims: JSONObjectText(openings.map { JSONMember(name: $0.name, value: $0.value) })
                )
            ]
        )
        let entry = try Entry(
            index: 1,
            previous: #require(Digest(example.file("leaf0"))),
            time: #require(LedgerTime("2026-01-01T00:00:00.012345Z")),
            submitter: "deposit-service",
            submission: submission,
            streams: [Entry.Membership(stream: object, number: 0)],
            claims: [
                Entry.Scope(
                    scope: object,
                    claims: openings.map {
                        CommittedClaim(name: $0.name, commitment: hasher.hash($0.preimage))
                    }
                )
            ]
        )
        #expect(try entry.encoded == example.file("entry1"))
    }

    @Test("has a document key this code computes")
    func documentKey() throws {
        let example = try WorkedExample()
        let last = try #require(try example.run().last)
        let digest = SHA256Hasher().hash(try example.file("document")).hex
        let key = KeyedHash(key: SecretBytes(copying: 0x80...0x9F)).hash(Array("evidenced/document/v1\n\(digest)".utf8))
        #expect(last.output.hasSuffix("\n" + Hex.encode(Array(key.bytes.prefix(16))) + "\n"))
    }
}
