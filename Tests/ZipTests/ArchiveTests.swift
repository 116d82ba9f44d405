import Foundation
import Testing
import Zip

@Suite("Archives")
struct ArchiveTests {
    private static let members: [String: ZipContent] = [
        "b/c.txt": .bytes(Array("hello".utf8)), "a.txt": .bytes([]), "B": .bytes([0, 255, 10]),
    ]

    @Test("give back what was put in, in byte order of the names")
    func roundTrip() throws {
        let file = try ScratchFile()
        try ZipWriter.write(ArchiveTests.members, to: file.path)
        let reader = try ZipReader(path: file.path)
        #expect(reader.members.map(\.name) == ["B", "a.txt", "b/c.txt"])
        #expect(reader.members.map(\.size) == [3, 0, 5])
        #expect(try reader.content(of: "b/c.txt", limit: 5) == Array("hello".utf8))
        #expect(try reader.content(of: "a.txt", limit: 0) == [])
        #expect(throws: ZipError(.memberTooLarge, member: "B")) { try reader.content(of: "B", limit: 2) }
        #expect(throws: ZipError(.noSuchMember, member: "b")) { try reader.content(of: "b", limit: 9) }
        #expect(reader.member("a.txt")?.size == 0 && reader.member("c") == nil)
    }

    @Test("are the same bytes each time, and those the format describes")
    func bytes() throws {
        let (first, second) = (try ScratchFile(), try ScratchFile())
        try ZipWriter.write(ArchiveTests.members, to: first.path)
        try ZipWriter.write(ArchiveTests.members, to: second.path)
        #expect(try first.bytes == second.bytes)
        let sizes = ArchiveTests.members.keys.reduce(22) { $0 + 30 + 46 + 2 * $1.utf8.count } + 8
        #expect(try first.bytes.count == sizes)
    }

    @Test("take the content of a file, and read large members in blocks")
    func files() throws {
        let (file, source) = (try ScratchFile(), try ScratchFile())
        let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try source.write(content)
        try ZipWriter.write(["big.bin": .file(path: source.path)], to: file.path)
        let reader = try ZipReader(path: file.path)
        var blocks = 0
        var read: [UInt8] = []
        try reader.read(try #require(reader.member("big.bin"))) {
            #expect($0.count <= 1 << 20)
            blocks += 1
            read.append(contentsOf: $0)
        }
        #expect(read == content && blocks >= 3)
    }

    @Test("replace what was there, and leave nothing where the check refuses them")
    func replacement() throws {
        let file = try ScratchFile()
        try file.write(Array("older".utf8))
        struct Refusal: Error {}
        #expect(throws: Refusal.self) {
            try ZipWriter.write(ArchiveTests.members, to: file.path) { finished in
                #expect(try ZipReader(path: finished).members.count == 3)
                throw Refusal()
            }
        }
        #expect(try file.bytes == Array("older".utf8))
        #expect(try file.neighbours == [file.name])
        try ZipWriter.write(ArchiveTests.members, to: file.path)
        #expect(try ZipReader(path: file.path).members.count == 3)
        #expect(try file.neighbours == [file.name])
    }

    @Test(
        "with names that are not allowed are not written",
        arguments: ["", "/a", "a/", "a//b", "../a", "a/./b", "ä", "a b", "a\\b"]
    )
    func names(name: String) throws {
        let file = try ScratchFile()
        #expect(throws: ZipError.self) { try ZipWriter.write([name: .bytes([1])], to: file.path) }
        #expect(try file.neighbours.isEmpty)
        #expect(!ZipMember.isName(name.utf8))
    }

    @Test("in a directory that is not there, without members, or of a file that is not there, are refused")
    func nothing() throws {
        let file = try ScratchFile()
        #expect(throws: ZipError.self) { try ZipWriter.write(ArchiveTests.members, to: file.path + "/x/y.zip") }
        #expect(throws: ZipError.self) { try ZipWriter.write([:], to: file.path) }
        #expect(throws: ZipError.self) {
            try ZipWriter.write(["a": .file(path: file.path + ".missing")], to: file.path)
        }
        #expect(throws: ZipError.self) { try ZipReader(path: file.path) }
        #expect(throws: ZipError.self) { try ZipReader(path: "/") }
    }
}
