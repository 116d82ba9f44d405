import Foundation

/// A path in a directory of its own, which goes away with its last reference.
final class ScratchFile {
    let name = "case.zip"
    private let directory: URL

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
}
