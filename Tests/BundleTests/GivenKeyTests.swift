import Bundle
import LedgerFormat
import Merkle
import OpenSSL
import Testing

/// Keys as people hand them on.
@Suite("A key that was given")
struct GivenKeyTests {
    /// RFC 8032 section 7.1, test 1, under a name of the worked example; PEM and digest by `openssl pkey -pubin`.
    private static let vkey = "example.com/ledger+60db519f+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    private static let pem = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----

        """
    private static let fingerprint = "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"

    private static func read(_ text: String) -> GivenKey? { try? GivenKey(Array(text.utf8)) }

    @Test(
        "is read with what editors and mails put around it",
        arguments: ["", "\n", "\r\n", " \t\r\n\r\n"],
        ["", "\u{FEFF}", "\r\n\n", "  "]
    )
    func spellings(after: String, before: String) throws {
        let key = try VerificationKey(parsing: GivenKeyTests.vkey) { SHA256Hasher().hash($0) }
        #expect(GivenKeyTests.read(before + GivenKeyTests.vkey + after) == .named(key))
        let lines = GivenKeyTests.pem.split(separator: "\n").map { $0 + after }.joined(separator: "\n")
        #expect(GivenKeyTests.read(before + lines) == .bare(key.publicKey))
        let read = GivenKeyTests.read(before + GivenKeyTests.fingerprint + after)
        #expect(read.map { $0.isKey(key) } == true)
        let groups = GivenKeyTests.fingerprint.uppercased().enumerated()
            .map { ($0.offset % 2 == 0 && $0.offset > 0 ? ":" : "") + String($0.element) }.joined()
        #expect(GivenKeyTests.read(groups) == read)
    }

    @Test(
        "is refused where it is none: it is never taken for another key",
        arguments: [
            "", " \r\n", "\u{FEFF}", "key", vkey + "\n" + vkey, "x" + vkey, String(vkey.dropLast()),
            vkey.replacing("A", with: "\u{0410}"), String(pem.dropLast(28)), pem.replacing("MCow", with: "MCox"),
            pem.replacing("PUBLIC", with: "PRIVATE"), String(fingerprint.dropLast()), fingerprint + "0",
            // Of small order.
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----",
        ]
    )
    func none(text: String) {
        #expect(throws: GivenKey.NoKey.self) { try GivenKey(Array(text.utf8)) }
    }

    @Test("is refused in UTF-16")
    func utf16() {
        let bytes = GivenKeyTests.vkey.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        #expect(throws: GivenKey.NoKey.self) { try GivenKey([0xFF, 0xFE] + bytes) }
    }

    @Test("is a name's key only with that name, and PEM any name's")
    func names() throws {
        let own = try VerificationKey(parsing: GivenKeyTests.vkey) { SHA256Hasher().hash($0) }
        let other = try VerificationKey(name: "other.example", publicKey: own.publicKey) { SHA256Hasher().hash($0) }
        #expect(GivenKey.named(own).isKey(own) && !GivenKey.named(own).isKey(other))
        #expect(GivenKey.bare(own.publicKey).isKey(own) && GivenKey.bare(own.publicKey).isKey(other))
    }
}
