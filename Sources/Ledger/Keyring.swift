import Glibc
import Merkle
import OpenSSL

/// The daemon's secrets: the key that signs checkpoints, the key that wraps the scopes' data keys, and the key under
/// which the look-up index hashes document digests.
///
/// The file is text, mode 0600: a first line `evidenced keyring v1`, then `NAME BASE64` for each key of 32 bytes.
public struct Keyring: Sendable {
    public let checkpointSeed: [UInt8]
    public let claimsKey: [UInt8]
    public let indexKey: [UInt8]

    private static let header = "evidenced keyring v1"
    private static let maximumBytes = 4_096
    private static let names = ["checkpoint-ed25519", "claims-aes256", "index-hmac"]

    /// Fresh random keys.
    public init() throws {
        checkpointSeed = try SecureRandom.bytes(32)
        claimsKey = try SecureRandom.bytes(32)
        indexKey = try SecureRandom.bytes(32)
    }

    private init(checkpointSeed: [UInt8], claimsKey: [UInt8], indexKey: [UInt8]) {
        self.checkpointSeed = checkpointSeed
        self.claimsKey = claimsKey
        self.indexKey = indexKey
    }

    /// The same keyring with a fresh checkpoint key, for a new incarnation.
    public func withFreshCheckpointKey() throws -> Keyring {
        Keyring(checkpointSeed: try SecureRandom.bytes(32), claimsKey: claimsKey, indexKey: indexKey)
    }

    /// Reads a keyring file; one that others may read is refused.
    ///
    /// - Parameter isCredential: the service manager handed it out. It then may grant the right to read by an access
    ///   list, whose mask shows as the group's permission.
    public static func load(path: String, isCredential: Bool = false) throws -> Keyring {
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == ENOENT else { throw SystemError("reading the keyring \(path)") }
            throw StartupRefusal(
                .keyringMissing,
                "the keyring \(path) is missing",
                advice: "Put it back; if it is lost, run 'evidence recover --reason key-lost'"
            )
        }
        guard status.st_mode & (isCredential ? 0o007 : 0o077) == 0 else {
            throw StartupRefusal(
                .badKeyring,
                "the keyring \(path) can be read by others than its owner",
                advice: "Run: chmod 600 \(path)"
            )
        }
        guard let keyring = Keyring(try FileSystem.read(path, limit: maximumBytes + 1)) else { throw malformed(path) }
        return keyring
    }

    /// Reads the bytes of a keyring file; nil where they are none.
    init?(_ bytes: [UInt8]) {
        guard bytes.count <= Keyring.maximumBytes, let text = String(validating: bytes, as: UTF8.self) else {
            return nil
        }
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == Keyring.header else { return nil }
        var keys: [String: [UInt8]] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ")
            guard parts.count == 2, Keyring.names.contains(String(parts[0])), let key = Base64.decode(parts[1]),
                key.count == 32, keys.updateValue(key, forKey: String(parts[0])) == nil
            else { return nil }
        }
        let found = Keyring.names.compactMap { keys[$0] }
        guard found.count == Keyring.names.count else { return nil }
        self.init(checkpointSeed: found[0], claimsKey: found[1], indexKey: found[2])
    }

    /// The bytes of the file.
    var encoded: [UInt8] {
        var text = Keyring.header + "\n"
        for (name, key) in zip(Keyring.names, [checkpointSeed, claimsKey, indexKey]) {
            text += "\(name) \(Base64.encode(key))\n"
        }
        return Array(text.utf8)
    }

    /// Creates a keyring file with fresh keys; one that exists is never touched.
    @discardableResult
    public static func create(path: String) throws -> Keyring {
        let keyring = try Keyring()
        try keyring.save(path: path)
        return keyring
    }

    /// Writes a new keyring file.
    public func save(path: String) throws {
        try FileSystem.create(path, encoded, mode: 0o600)
    }

    /// Writes this keyring beside the one at `path`, durably, so that its key outlives a crash before it is adopted.
    public func stage(path: String) throws { try save(path: Keyring.stagedPath(path)) }

    /// The keyring that waits beside the one at `path`; nil where none does.
    public static func staged(path: String) throws -> Keyring? {
        guard FileSystem.exists(stagedPath(path)) else { return nil }
        return try load(path: stagedPath(path))
    }

    /// Removes the staged keyring.
    public static func discardStaged(path: String) throws {
        guard unlink(stagedPath(path)) == 0 || errno == ENOENT else { throw SystemError("removing \(path).new") }
        try FileSystem.syncDirectory(FileSystem.parent(of: path))
    }

    /// Puts the staged keyring in the place of the one at `path`, atomically; the old one, where there is one, stays
    /// beside it as `PATH.SUFFIX`, with a number more where that name is taken.
    public static func adoptStaged(path: String, suffix: String) throws {
        var kept = "\(path).\(suffix)"
        var attempt = 1
        while link(path, kept) != 0, errno != ENOENT {
            guard errno == EEXIST else { throw SystemError("keeping \(kept)") }
            attempt += 1
            kept = "\(path).\(suffix).\(attempt)"
        }
        guard rename(stagedPath(path), path) == 0 else { throw SystemError("replacing \(path)") }
        try FileSystem.syncDirectory(FileSystem.parent(of: path))
    }

    private static func stagedPath(_ path: String) -> String { path + ".new" }

    private static func malformed(_ path: String) -> StartupRefusal {
        StartupRefusal(
            .badKeyring,
            "\(path) is not a keyring file",
            advice: "It must hold the line '\(header)' and one 32-byte key each for \(names.joined(separator: ", "))"
        )
    }
}
