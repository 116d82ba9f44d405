import Paths
import Testing

@Suite("Paths")
struct FilePathTests {
    /// Marks that merge with the character before them, so that Swift's texts see no slash there (UAX 29).
    static let marks = ["\u{301}", "\u{338}", "\u{FE0F}", "\u{200D}", "\u{1F3FD}", "\u{20E3}"]

    @Test("are split at every byte 0x2F, whatever comes after it", arguments: marks)
    func split(mark: String) {
        let path = FilePath("/a/b/\(mark)c")
        #expect(path.name == Array("\(mark)c".utf8))
        #expect(path.parent == FilePath("/a/b"))
        #expect(path.parts == [Array("a".utf8), Array("b".utf8), Array("\(mark)c".utf8)])
        #expect(FilePath("/\(mark)").isAbsolute)
        #expect(FilePath("/x/../\(mark)").parts[1] == Array("..".utf8))
    }

    /// What basename(1) and dirname(1) print.
    @Test(
        "have the name and the directory that basename and dirname give",
        arguments: [
            ("a", "a", "."), ("/a", "a", "/"), ("/", "/", "/"), ("a/", "a", "."), ("a/b", "b", "a"),
            ("a//b", "b", "a"), ("/a/b//", "b", "/a"), ("//a", "a", "/"), ("./a", "a", "."), ("a/.", ".", "a"),
        ]
    )
    func parts(text: String, name: String, parent: String) {
        #expect(FilePath(text).name == Array(name.utf8))
        #expect(FilePath(text).parent == FilePath(parent))
    }

    @Test("differ where their bytes do, and only there")
    func equality() {
        #expect(FilePath("caf\u{E9}") != FilePath("cafe\u{301}"))
        #expect(FilePath("\u{212A}") != FilePath("K"))
        #expect(FilePath("a/b") != FilePath("a//b"))
        #expect(Set([FilePath("caf\u{E9}"), FilePath("cafe\u{301}")]).count == 2)
    }

    @Test("hold bytes of any encoding, and show those that are no UTF-8")
    func bytes() throws {
        // GBK, of which a part happens to be UTF-8; Latin-1, a surrogate, an overlong slash, a cut character, one beyond Unicode, one with a stray byte.
        let cases: [([UInt8], String)] = [
            ([0xBA, 0xCF, 0xCD, 0xAC], "\\xba\\xcf\u{36C}"), ([0x61, 0xE9, 0x2E], "a\\xe9."),
            ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"), ([0xC0, 0xAF], "\\xc0\\xaf"), ([0xE5, 0x90], "\\xe5\\x90"),
            ([0xF4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"), ([0xE5, 0x90, 0x88, 0xFF], "\u{5408}\\xff"),
        ]
        for (bytes, shown) in cases {
            let path = try #require(FilePath(bytes: bytes))
            #expect(path.bytes == bytes)
            #expect(path.description == shown)
            #expect(path.text == nil)
        }
        #expect(FilePath("\u{5408}").text == "\u{5408}" && FilePath("\u{5408}").description == "\u{5408}")
        #expect(FilePath(bytes: [0x61, 0]) == nil)
        #expect(FilePath("a\0b").bytes == [0x61])
        #expect(FilePath("/d").appending([0xFF]).adding(suffix: ".x").bytes == [0x2F, 0x64, 0x2F, 0xFF, 0x2E, 0x78])
        #expect(FilePath("/d/").appending("e") == FilePath("/d/e"))
    }
}

@Suite("Arguments")
struct ArgumentTextTests {
    @Test("come back byte for byte, each as another text")
    func roundTrip() {
        let cases: [[UInt8]] = [
            [], Array("plain".utf8), [0xFF], [0xBA, 0xCF], Array("--file=\u{301}x".utf8), [0xED, 0xA0, 0x80],
            Array("\u{10FE41}\u{10FEFF}".utf8), Array("\u{10FDFF}\u{10FF00}".utf8), [0xF4, 0x8F, 0xB8],
            Array("caf\u{E9} cafe\u{301}".utf8), (1...255).map { UInt8($0) }, Array("=\u{338}".utf8),
        ]
        var seen: Set<[Unicode.Scalar]> = []
        for bytes in cases {
            let text = ArgumentText.encode(bytes)
            #expect(ArgumentText.decode(text) == bytes)
            let isNew = seen.insert(Array(text.unicodeScalars)).inserted
            #expect(isNew)
        }
    }

    @Test("keep the = that a parser looks for", arguments: FilePathTests.marks)
    func equals(mark: String) throws {
        let text = ArgumentText.encode("--file=\(mark)x".utf8)
        let equals = try #require(text.firstIndex(of: "="))
        #expect(ArgumentText.decode(String(text[text.index(after: equals)...])) == Array("\(mark)x".utf8))
    }

    @Test("that are text stay as they are")
    func text() {
        for text in ["a", "\u{5408}\u{540C}.pdf", "e\u{301}", "\u{1F600}"] {
            #expect(Array(ArgumentText.encode(text.utf8).unicodeScalars) == Array(text.unicodeScalars))
        }
    }
}
