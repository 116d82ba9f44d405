import Foundation
import Paths
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
        try file.write(archive: ArchiveTests.members)
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
        try first.write(archive: ArchiveTests.members)
        try second.write(archive: ArchiveTests.members)
        #expect(try first.bytes == second.bytes)
        let sizes = ArchiveTests.members.keys.reduce(22) { $0 + 30 + 46 + 2 * $1.utf8.count } + 8
        #expect(try first.bytes.count == sizes)
    }

    @Test("take the content of a file, and read large members in blocks")
    func files() throws {
        let (file, source) = (try ScratchFile(), try ScratchFile())
        let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try source.write(content)
        try file.write(archive: ["big.bin": .file(path: FilePath(source.path))])
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

    @Test("replace all that stood in the file")
    func replacement() throws {
        let file = try ScratchFile()
        try file.write([UInt8](repeating: 1, count: 10_000))
        try file.write(archive: ArchiveTests.members)
        #expect(try ZipReader(path: file.path).members.count == 3)
        #expect(try file.neighbours == [file.name])
    }

    @Test("are written with nothing beside them, not even for a moment, and into files without a name")
    func nameless() throws {
        let file = try ScratchFile()
        // O_TMPFILE, which hides from Swift's importer.
        let descriptor = open(file.directory.path, 0o20000000 | O_DIRECTORY | O_RDWR, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try ZipWriter.write(ArchiveTests.members, to: descriptor, name: "nameless")
        #expect(try file.neighbours.isEmpty)
        #expect(try ZipReader(path: "/proc/self/fd/\(descriptor)").members.count == 3)
    }

    @Test("that can't be written say why")
    func refusedWrites() throws {
        for (path, flags) in [("/dev/full", O_RDWR), ("/dev/null", O_RDONLY)] {
            let descriptor = open(path, flags)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let error = #expect(throws: ZipError.self) {
                try ZipWriter.write(ArchiveTests.members, to: descriptor, name: path)
            }
            #expect(error?.rule == .system && error?.detail?.hasPrefix(path) == true)
        }
    }

    @Test(
        "with names that are not allowed are not written",
        arguments: ["", "/a", "a/", "a//b", "../a", "a/./b", "ä", "a b", "a\\b"]
    )
    func names(name: String) throws {
        let file = try ScratchFile()
        try file.write([1, 2, 3])
        #expect(throws: ZipError.self) { try file.write(archive: [name: .bytes([1])]) }
        #expect(try file.bytes == [1, 2, 3])
        #expect(!ZipMember.isName(name.utf8))
    }

    @Test("without members, or of a file that is not there, are refused")
    func nothing() throws {
        let file = try ScratchFile()
        #expect(throws: ZipError.self) { try file.write(archive: [:]) }
        #expect(throws: ZipError.self) {
            try file.write(archive: ["a": .file(path: FilePath(file.path + ".missing"))])
        }
        #expect(throws: ZipError.self) { try ZipReader(path: file.path) }
        #expect(throws: ZipError.self) { try ZipReader(path: "/") }
    }
}
