import Bundle
import Foundation
import Zip

extension BundleWriter {
    /// Writes a bundle into a new file; nothing stays of one that is refused.
    static func write(_ contents: BundleContents, to path: String, key: GivenKey? = nil) throws {
        try writing(to: path) { try write(contents, to: $0, name: path, key: key) }
    }
}

extension ZipWriter {
    /// Writes an archive into a new file; nothing stays of one that is refused.
    static func write(_ members: [String: ZipContent], to path: String) throws {
        try writing(to: path) { try write(members, to: $0, name: path) }
    }
}

private func writing(to path: String, _ body: (Int32) throws -> Void) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
    defer { close(descriptor) }
    do {
        try body(descriptor)
    } catch {
        unlink(path)
        throw error
    }
}
