import Foundation
import Zip

/// A path in a directory of its own, which goes away with its last reference.
final class ScratchFile {
    let name = "case.zip"
    let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("evidenced-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    var path: String { directory.appendingPathComponent(name).path }

    var bytes: [UInt8] {
        get throws { try [UInt8](Data(contentsOf: directory.appendingPathComponent(name))) }
    }

    /// What is in the directory.
    var neighbours: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() }
    }

    func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: directory.appendingPathComponent(name)) }

    /// Writes an archive into the file; its bytes stay where that is refused.
    func write(archive members: [String: ZipContent]) throws {
        let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        defer { close(descriptor) }
        try ZipWriter.write(members, to: descriptor, name: path)
    }
}
