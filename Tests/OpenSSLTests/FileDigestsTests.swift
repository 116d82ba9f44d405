import Foundation
import Merkle
import OpenSSL
import Paths
import Testing

@Suite("Digests of files")
final class FileDigestsTests {
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("evidenced-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    /// What a program prints about the file.
    private func output(of program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }

    @Test(
        "are those of sha256sum and openssl dgst, whatever the size",
        arguments: [0, 1, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20]
    )
    func againstOtherTools(size: Int) throws {
        let path = directory.appendingPathComponent("file-\(size)").path
        try Data(SecureRandom.bytes(size)).write(to: URL(fileURLWithPath: path))
        var steps: [Int64] = []
        let digests = try FileDigests(path: FilePath(path), withSM3: true) { steps.append($0) }
        #expect(digests.size == Int64(size))
        #expect(steps.last ?? 0 == Int64(size))
        #expect(steps == steps.sorted() && Set(steps).count == steps.count)
        #expect(try output(of: "/usr/bin/sha256sum", [path]).hasPrefix(digests.sha256.hex + " "))
        let sm3 = try #require(digests.sm3)
        #expect(try output(of: "/usr/bin/openssl", ["dgst", "-sm3", "-r", path]).hasPrefix(sm3.hex + " "))
        #expect(try FileDigests(path: FilePath(path)).sm3 == nil)
    }

    @Test("of what is not there, or is a directory, are an error with its errno")
    func errors() throws {
        let missing = directory.appendingPathComponent("missing").path
        func failure(_ path: String) -> FileError? {
            do {
                _ = try FileDigests(path: FilePath(path))
                return nil
            } catch {
                return error as? FileError
            }
        }
        #expect(failure(missing)?.cause == .system(ENOENT))
        #expect(failure(missing)?.description == "\(missing): No such file or directory")
        #expect(failure(missing + "/below")?.cause == .system(ENOENT))
        #expect(failure("")?.cause == .system(ENOENT))
        #expect(failure(directory.path)?.cause == .system(EISDIR))
    }

    @Test("of a file that is written to meanwhile are none", arguments: ["grown", "cut", "overwritten", "as it was"])
    func changing(how: String) throws {
        let path = directory.appendingPathComponent("changing").path
        try Data(count: 3 << 20).write(to: URL(fileURLWithPath: path))
        let file = open(path, O_RDWR)
        defer { close(file) }
        var untouched = true
        func change(_ done: Int64) {
            guard untouched else { return }
            untouched = false
            switch how {
            case "grown": ftruncate(file, 4 << 20)
            case "cut": ftruncate(file, 2 << 20)
            // What was read already, so that no byte of what follows tells.
            case "overwritten": pwrite(file, "x", 1, 0)
            default: break
            }
        }
        func digests() throws -> FileDigests { try FileDigests(path: FilePath(path), progress: change) }
        if how == "as it was" {
            #expect(try digests().size == 3 << 20)
        } else {
            let error = #expect(throws: FileError.self) { _ = try digests() }
            #expect(error?.cause == .changed && error?.description == "\(path): was written to while it was read")
        }
    }
}
