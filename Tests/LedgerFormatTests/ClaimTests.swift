import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("Claims")
struct ClaimTests {
    @Test("have the commitment that coreutils compute", arguments: ["张三", "a.pdf", "\"quoted\" \\ / é", "$(id) 'x'"])
    func againstCoreutils(value: String) throws {
        let scope = try #require(StreamID("subject/0123456789abcdef0123456789abcdef"))
        let salt = try SecureRandom.bytes(32)
        let opening = Opening(scope: scope, name: "name", salt: salt, value: .string(value))
        // The value goes in as hex of its canonical JSON, written here by hand: these values need two escapes.
        let json = "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        let command = try ShellCommand(
            """
            {
                printf 'evidenced/claim/v1\\n'
                printf \(Hex.encode(salt)) | xxd -r -p | base64 -w 0
                printf '\\nname\\n'
                printf \(Hex.encode(Array(json.utf8))) | xxd -r -p
            } | sha256sum | cut -c 1-64
            """
        )
        #expect(command.output == SHA256Hasher().hash(opening.preimage).hex + "\n", "\(command.errors)")
    }

    @Test("have another preimage where salt, name or value is another")
    func preimagesDiffer() {
        let salt = [UInt8](repeating: 1, count: 32)
        let values: [JSONValue] = [
            .string("1"), .int(1), .string("1\nname\n\"1\""), .bool(true), .null, .array([.int(1)]), .string(""),
        ]
        var preimages: Set<[UInt8]> = []
        for salt in [salt, [UInt8](repeating: 2, count: 32)] {
            for name in ["name", "names", "nam"] {
                for value in values {
                    preimages.insert(ClaimTests.preimage(salt, name, value))
                }
            }
        }
        #expect(preimages.count == 2 * 3 * values.count)
        for preimage in preimages { #expect(preimage.filter { $0 == 0x0A }.count == 3) }
    }

    @Test("have their preimage put behind what is there")
    func appending() throws {
        let salt = Array(UInt8(0)...31)
        let scope = try #require(StreamID("subject/0123456789abcdef0123456789abcdef"))
        let opening = Opening(scope: scope, name: "name", salt: salt, value: .string("é\n"))
        #expect(opening.preimage == ClaimTests.preimage(salt, "name", .string("é\n")))
        let own = "evidenced/claim/v1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nname\n\"é\\n\""
        #expect(opening.preimage == Array(own.utf8))
        var bytes = Array("head".utf8)
        let (name, value) = ("a", "1")
        ClaimCommitment.append(salt: salt.span, name: name.utf8.span, value: value.utf8.span, to: &bytes)
        #expect(bytes == Array("head".utf8) + ClaimTests.preimage(salt, "a", .int(1)))
    }

    private static func preimage(_ salt: [UInt8], _ name: String, _ value: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        let value = value.canonicalBytes
        ClaimCommitment.append(salt: salt.span, name: name.utf8.span, value: value.span, to: &bytes)
        return bytes
    }
}
