import Files
import Glibc
import Keys
import Merkle
public import OpenSSL

/// The daemon's secrets: the key that signs checkpoints, the master key the key tree stands under, and the key under which
/// the look-up index hashes document digests.
///
/// The file is text, mode 0600: a first line `evidenced keyring v1`, then `NAME BASE64` for each key of 32 bytes.
public struct Keyring: Sendable {
    public let checkpointSeed: SecretBytes
    public let masterSecret: SecretBytes
    public let indexKey: SecretBytes

    private static let header = "evidenced keyring v1"
    private static let maximumBytes = 4_096
    private static let names = ["checkpoint-ed25519", "keys-master", "index-hmac"]
    private static let keyBytes = 32
    /// A key as text.
    private static let textBytes = 44

    /// Fresh random keys.
    public init() throws {
        checkpointSeed = try SecretBytes.random(Keyring.keyBytes)
        masterSecret = try SecretBytes.random(Keyring.keyBytes)
        indexKey = try SecretBytes.random(Keyring.keyBytes)
    }

    private init(checkpointSeed: SecretBytes, masterSecret: SecretBytes, indexKey: SecretBytes) {
        self.checkpointSeed = checkpointSeed
        self.masterSecret = masterSecret
        self.indexKey = indexKey
    }

    /// The same keyring with a fresh checkpoint key, for a new incarnation.
    public func withFreshCheckpointKey() throws -> Keyring {
        Keyring(
            checkpointSeed: try SecretBytes.random(Keyring.keyBytes),
            masterSecret: masterSecret,
            indexKey: indexKey
        )
    }

    /// The same keyring with a fresh master key, for a key tree that is wrapped anew.
    func withFreshMaster() throws -> Keyring {
        Keyring(
            checkpointSeed: checkpointSeed,
            masterSecret: try SecretBytes.random(Keyring.keyBytes),
            indexKey: indexKey
        )
    }

    /// The key the key tree stands under.
    func masterKey() throws -> MasterKey { try MasterKey(masterSecret) }

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
        let file = try FileSystem.readSecret(path, limit: maximumBytes + 1)
        guard let keyring = file.withUnsafeBytes({ Keyring($0) }) else { throw malformed(path) }
        return keyring
    }

    /// Reads the bytes of a keyring file; nil where they are none.
    ///
    /// What it reads it copies nowhere but into the keys: a text in Swift's memory could not be wiped.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Keyring.maximumBytes else { return nil }
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first, first.elementsEqual(Keyring.header.utf8) else { return nil }
        var keys: [SecretBytes?] = Keyring.names.map { _ in nil }
        for line in lines.dropFirst() {
            let parts = line.split(separator: UInt8(ascii: " "))
            guard parts.count == 2,
                let name = Keyring.names.firstIndex(where: { parts[0].elementsEqual($0.utf8) }), keys[name] == nil,
                let key = Keyring.key(UnsafeRawBufferPointer(rebasing: parts[1]))
            else { return nil }
            keys[name] = key
        }
        guard let seed = keys[0], let master = keys[1], let index = keys[2] else { return nil }
        self.init(checkpointSeed: seed, masterSecret: master, indexKey: index)
    }

    /// The key a text is the base64 of.
    private static func key(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        guard text.count == textBytes else { return nil }
        var isRead = false
        let key = SecretBytes(count: keyBytes) { isRead = Base64.decode(text, into: $0) }
        return isRead ? key : nil
    }

    /// The bytes of the file.
    var encoded: SecretBytes {
        let keys = zip(Keyring.names, [checkpointSeed, masterSecret, indexKey])
        let count = keys.reduce(Keyring.header.utf8.count + 1) { $0 + $1.0.utf8.count + Keyring.textBytes + 2 }
        return SecretBytes(count: count) { text in
            var end = 0
            func write(_ bytes: some Sequence<UInt8>) {
                for byte in bytes {
                    text[end] = byte
                    end += 1
                }
            }
            write(Keyring.header.utf8)
            for (name, key) in keys {
                write("\n\(name) ".utf8)
                let encoded = UnsafeMutableRawBufferPointer(rebasing: text[end..<end + Keyring.textBytes])
                key.withUnsafeBytes { Base64.encode($0, into: encoded) }
                end += Keyring.textBytes
            }
            write("\n".utf8)
        }
    }

    /// Creates a keyring file with fresh keys; one that exists is never touched.
    @discardableResult
    public static func create(path: String) throws -> Keyring {
        let keyring = try Keyring()
        try keyring.save(path: path)
        return keyring
    }

    /// Writes a new keyring file. Where the path is a symbolic link that leads nowhere yet, it is what that leads to.
    public func save(path: String) throws {
        let target = try FileSystem.target(of: path)
        try encoded.withUnsafeBytes { try FileSystem.create(target, $0, mode: 0o600) }
    }

    /// Writes this keyring beside the one at `path`, durably, so that its key outlives a crash before it is adopted.
    public func stage(path: String) throws { try save(path: Keyring.stagedPath(path)) }

    /// The keyring that waits beside the one at `path`; nil where none does.
    public static func staged(path: String) throws -> Keyring? {
        let staged = try stagedPath(path)
        return FileSystem.exists(staged) ? try load(path: staged) : nil
    }

    /// Removes the staged keyring.
    public static func discardStaged(path: String) throws {
        let staged = try stagedPath(path)
        guard unlink(staged) == 0 || errno == ENOENT else { throw SystemError("removing \(staged)") }
        try FileSystem.syncDirectory(FileSystem.parent(of: staged))
    }

    /// Puts the staged keyring in the place of the one at `path`, atomically; a copy of the old one, where there is one,
    /// stays beside it as `PATH.SUFFIX`, with a number more where that name is taken. Where the path is a symbolic link,
    /// it stays one, and the files lie beside what it leads to.
    ///
    /// - Throws: `StartupRefusal` `.badKeyring` where what is in its place is larger than a keyring; `SystemError`.
    public static func adoptStaged(path: String, suffix: String) throws {
        let staged = try stagedPath(path)
        let path = try FileSystem.target(of: path)
        // A copy, for a link is not what every file system has, and a rename would leave a moment without a keyring.
        if FileSystem.exists(path) { try keep(path, as: "\(path).\(suffix)") }
        guard rename(staged, path) == 0 else { throw SystemError("replacing \(path)") }
        try FileSystem.syncDirectory(FileSystem.parent(of: path))
    }

    /// Copies a keyring file durably to a name that is not taken.
    private static func keep(_ path: String, as name: String) throws {
        let file = try FileSystem.readSecret(path, limit: maximumBytes + 1)
        guard file.count <= maximumBytes else { throw malformed(path) }
        try FileSystem.underFreeName(name) { name in
            try file.withUnsafeBytes { try FileSystem.create(name, $0, mode: 0o600) }
        }
    }

    /// Where the keyring waits that is to take the place of the one at `path`.
    private static func stagedPath(_ path: String) throws -> String {
        try FileSystem.target(of: path) + FileSystem.nextSuffix
    }

    private static func malformed(_ path: String) -> StartupRefusal {
        StartupRefusal(
            .badKeyring,
            "\(path) is not a keyring file",
            advice: "It must hold the line '\(header)' and one 32-byte key each for \(names.joined(separator: ", "))"
        )
    }
}
