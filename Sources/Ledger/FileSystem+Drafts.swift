import Files
import Glibc

/// Small files that are made whole or not at all.
extension FileSystem {
    /// What the name of a lock or keyring ends in that is to take the place of another.
    static let nextSuffix = ".new"

    /// Writes a new file durably, whole or not at all; one that exists is refused, and so is anything but a draft of it
    /// that was left behind under the passing name it has meanwhile.
    ///
    /// - Throws: `StartupRefusal` for the latter; `SystemError`.
    static func create(_ path: String, _ bytes: [UInt8], mode: mode_t) throws {
        try bytes.withUnsafeBytes { try create(path, $0, mode: mode) }
    }

    /// The same.
    static func create(_ path: String, _ bytes: UnsafeRawBufferPointer, mode: mode_t) throws {
        let draft = try FileDraft(path + FileDraft.suffix, of: bytes, mode: mode)
        defer { draft.end() }
        try draft.publish(bytes, as: path)
        do {
            try syncDirectory(parent(of: path))
        } catch {
            unlink(path)
            throw error
        }
    }

    /// Copies a small file, which has these bytes, durably to its path with a suffix, and a number more where that is taken
    /// by anything but such a copy.
    static func copyAside(_ bytes: [UInt8], _ path: String, suffix: String) throws {
        try underFreeName(path + suffix) { name in
            if isTaken(name), try read(name, limit: bytes.count + 1) == bytes {
                try syncDirectory(parent(of: name))
            } else {
                try create(name, bytes, mode: 0o600)
            }
        }
    }
}
