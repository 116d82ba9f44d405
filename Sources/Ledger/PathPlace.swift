import Files
import Glibc

/// Where a path leads, however it is spelt: through links, `.` and `..`, doubled slashes, another mount of the same
/// directory. What does not exist yet is placed by the part that does. Bytes are compared, never characters.
public struct PathPlace: Sendable {
    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64
    }

    private static let slash = UInt8(ascii: "/")
    /// Names from the root on.
    private let parts: [[UInt8]]
    /// Device and inode of what the path names, if that exists.
    private let own: Identity?
    /// Those of it and of every directory it lies in, as far as they exist.
    private let line: [Identity]

    public init(_ path: String) {
        var known = Array(path.utf8)
        if known.first != PathPlace.slash { known = PathPlace.workingDirectory + [PathPlace.slash] + known }
        var rest: [[UInt8]] = []
        var resolved = PathPlace.resolve(known)
        while resolved == nil, let slash = known.lastIndex(of: PathPlace.slash) {
            rest.insert(Array(known[(slash + 1)...]), at: 0)
            known = Array(known[..<slash])
            resolved = known.isEmpty ? [PathPlace.slash] : PathPlace.resolve(known)
        }
        let existing = PathPlace.split(resolved ?? [])
        var parts = existing
        for part in rest where !part.isEmpty && !part.elementsEqual(".".utf8) {
            if part.elementsEqual("..".utf8) {
                if !parts.isEmpty { parts.removeLast() }
            } else {
                parts.append(part)
            }
        }
        self.parts = parts
        own = PathPlace.identity(parts)
        line =
            (0...existing.count).compactMap { PathPlace.identity(Array(existing.prefix($0))) } + [own].compactMap { $0 }
    }

    /// Whether both are one file or directory.
    public func isSame(as other: PathPlace) -> Bool { parts == other.parts || own != nil && own == other.own }

    /// Whether it is that directory, or lies in it at any depth.
    public func lies(in other: PathPlace) -> Bool {
        parts.starts(with: other.parts) || other.own.map { line.contains($0) } ?? false
    }

    private static func split(_ path: [UInt8]) -> [[UInt8]] { path.split(separator: slash).map(Array.init) }

    private static func resolve(_ path: [UInt8]) -> [UInt8]? {
        guard let found = realpath(path.map { CChar(bitPattern: $0) } + [0], nil) else { return nil }
        defer { free(found) }
        return (0..<strlen(found)).map { UInt8(bitPattern: found[$0]) }
    }

    private static var workingDirectory: [UInt8] { resolve([UInt8(ascii: ".")]) ?? [] }

    private static func identity(_ parts: [[UInt8]]) -> Identity? {
        let path = [slash] + parts.joined(separator: [slash])
        var status = stat()
        guard stat(path.map { CChar(bitPattern: $0) } + [0], &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}

extension LedgerLocations {
    /// Two parts of a ledger, by their keys in the configuration, that must not lie as they do.
    public struct Conflict: Sendable, Equatable {
        public let keys: [String]
        public let rule: String
    }

    /// Why the ledger's parts, and what else the configuration names, would get into each other's way; nil where they
    /// would not. Places are compared, not spellings.
    public func conflict(keyring: String? = nil, backupRoot: String? = nil) -> Conflict? {
        let (store, index, lock) = (PathPlace(store), PathPlace(index), PathPlace(lock))
        let directories = [("store", store), ("index", index), ("keys", PathPlace(keys))]
        for (position, (first, place)) in directories.enumerated() {
            for (second, other) in directories[(position + 1)...] {
                let names = [first, second].sorted()
                if place.isSame(as: other) {
                    return Conflict(keys: names, rule: "\(first) and \(second) must be different directories")
                }
                if other.lies(in: place) || place.lies(in: other) {
                    return Conflict(keys: names, rule: "neither of \(first) and \(second) may lie in the other")
                }
            }
        }
        var others = [("checkpoint-lock", lock)]
        if let keyring { others.append(("keyring", PathPlace(keyring))) }
        if let backupRoot { others.append(("backup-root", PathPlace(backupRoot))) }
        for (key, place) in others {
            for (name, directory) in directories where place.lies(in: directory) {
                return Conflict(keys: [key, name], rule: "\(key) must lie outside of the \(name)")
            }
        }
        for (key, place) in others.dropFirst() where place.isSame(as: lock) {
            return Conflict(keys: [key, "checkpoint-lock"], rule: "\(key) and checkpoint-lock must be different files")
        }
        let made = [("checkpoint-lock", self.lock)] + (keyring.map { [("keyring", $0)] } ?? [])
        for (owner, path) in made {
            for suffix in LedgerLocations.passingSuffixes {
                let passing = PathPlace(((try? FileSystem.target(of: path)) ?? path) + suffix)
                for (key, place) in others + directories where place.lies(in: passing) {
                    let rule =
                        "\(key) must not lie at the path of \(owner) with \(suffix) added, where a new one is made"
                    return Conflict(keys: [key, owner], rule: rule)
                }
            }
        }
        return nil
    }

    /// What the names of lock and keyring end in while they are made: whatever else has such a name is in the way, or taken
    /// for what an interrupted run left.
    private static let passingSuffixes = [
        FileSystem.nextSuffix, FileDraft.suffix, FileSystem.nextSuffix + FileDraft.suffix,
    ]
}
