import LedgerFormat
import Merkle
import Testing

@Suite("Checkpoints")
struct CheckpointTests {
    /// The example of C2SP tlog-checkpoint.
    private static let published = """
        example.com/behind-the-sofa
        20852163
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

        """
    private static let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="

    @Test("of others are read and written back")
    func publishedCheckpoint() throws {
        let checkpoint = try Checkpoint(parsing: CheckpointTests.published)
        #expect(checkpoint.origin == "example.com/behind-the-sofa")
        #expect(checkpoint.size == 20_852_163)
        #expect(checkpoint.root.base64 == CheckpointTests.root)
        #expect(checkpoint.text == CheckpointTests.published)
        let made = Checkpoint(origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root)
        #expect(made == checkpoint)
    }

    @Test("are compared by bytes")
    func bytes() {
        let kelvin = Checkpoint(origin: "\u{212A}", size: 1, root: .zero)
        #expect(kelvin != Checkpoint(origin: "K", size: 1, root: .zero) && kelvin == kelvin)
    }

    @Test(
        "that are malformed are refused",
        arguments: [
            "", "\n", "\n\n\n", "a\n", "a\n1\n", "a\n1\n\(root)", "\n1\n\(root)\n",
            "a\n\n\(root)\n", "a\n01\n\(root)\n", "a\n+1\n\(root)\n", "a\n-1\n\(root)\n", "a\n1 \n\(root)\n",
            "a\n0x1\n\(root)\n", "a\n1.0\n\(root)\n", "a\n٣\n\(root)\n", "a\n18446744073709551616\n\(root)\n",
            "a\n1\n\(root.dropLast())\n", "a\n1\n\(root)=\n", "a\n1\n \(root)\n", "a\n1\nAAAA\n", "a\n1\n\n",
            "a\n1\n\(root.replacing("2I=", with: "2J="))\n", "a\r\n1\r\n\(root)\r\n",
            "a\n0\n\(root)\n", "a\n1\n\(root)\n\n", "a\n1\n\(root)\n\nx\n", "a\n1\n\(root)\nx\n\n",
            "a\n1\n\(root)\ntimestamp 1\n", "a\n\u{301}1\n\(root)\n",
        ]
    )
    func malformed(text: String) {
        #expect { try Checkpoint(parsing: text) } throws: { ($0 as? NoteError)?.code == .malformedCheckpoint }
    }

    @Test("of any size are read")
    func sizes() throws {
        for size: UInt64 in [1, 2, 255, 256, 1 << 40, .max] {
            let checkpoint = Checkpoint(origin: "a", size: size, root: .zero)
            #expect(try Checkpoint(parsing: checkpoint.text) == checkpoint)
        }
    }

    @Test("have origins of 1 to 200 bytes that are key names")
    func origins() {
        #expect(Checkpoint.isOrigin("a"))
        #expect(Checkpoint.isOrigin("evidence.example.com/2026"))
        #expect(Checkpoint.isOrigin(String(repeating: "a", count: 200)))
        #expect(!Checkpoint.isOrigin(String(repeating: "a", count: 201)))
        #expect(!Checkpoint.isOrigin(String(repeating: "é", count: 101)))
        for origin in ["", " ", "a b", "a+b", "a\n", "a\u{2028}b"] { #expect(!Checkpoint.isOrigin(origin)) }
    }
}
