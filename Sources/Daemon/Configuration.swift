import Glibc
public import Ledger
public import Logging
public import Paths
public import Service
public import Varlink
public import Vault

/// How the daemon runs: a file of `key = value` lines, described in full by `Configuration.reference`.
///
/// Nothing in it is guessed: an unknown key, a key given twice or a value outside its rule refuses the whole file.
public struct Configuration: Sendable {
    public internal(set) var store = "/var/lib/evidenced/store"
    public internal(set) var index = "/var/lib/evidenced/index"
    public internal(set) var keys = "/var/lib/evidenced/keys"
    public internal(set) var checkpointLock = "/var/lib/evidenced-lock/checkpoint.lock"
    public internal(set) var keyring = Configuration.defaultKeyring
    public internal(set) var socket = "/run/evidenced/evidenced.sock"
    /// Permissions of the socket where the daemon binds it itself.
    public internal(set) var socketMode: UInt32 = 0o666
    /// Directory below which backups may be written; nil where none may.
    public internal(set) var backupRoot: String?
    /// Directory of documents in custody; nil where none are kept.
    public internal(set) var objects: String?
    public internal(set) var vaultSettings = VaultSettings()
    public internal(set) var logLevel = Logger.Level.info
    /// Whether debuggers and core dumps may read the process.
    public internal(set) var isTraceable = false
    public internal(set) var ledgerSettings = LedgerSettings()
    public internal(set) var varlinkLimits = VarlinkLimits()
    /// Events one Append call may carry.
    public internal(set) var batchEvents = 4_096
    /// Who may do what; without a principal in the file, nobody may do anything.
    public internal(set) var access = AccessPolicy(principals: [])

    static let defaultKeyring = "/etc/evidenced/keyring"
    /// Name of the service manager's credential that holds the keyring.
    static let keyringCredential = "keyring"
    /// Longest configuration file in bytes.
    static let fileBytes = 1 << 20

    /// What holds for an empty file.
    init(environment: [String: String]) {
        if let directory = environment["CREDENTIALS_DIRECTORY"], FilePath(directory).isAbsolute {
            keyring = directory + "/" + Configuration.keyringCredential
        }
    }

    /// Where the ledger lies.
    public var locations: LedgerLocations {
        LedgerLocations(store: store, index: index, keys: keys, lock: checkpointLock)
    }

    /// Reads a configuration file.
    ///
    /// - Parameter environment: The process's environment; `CREDENTIALS_DIRECTORY` moves the default keyring.
    public static func load(
        path: FilePath,
        environment: [String: String]
    ) throws(ConfigurationError) -> Configuration {
        do throws(ConfigurationError) {
            return try parse(try text(of: path), environment: environment)
        } catch {
            throw error.inFile(path.description)
        }
    }

    /// Reads the text of a configuration file.
    public static func parse(
        _ text: String,
        environment: [String: String]
    ) throws(ConfigurationError) -> Configuration {
        var parser = ConfigurationParser(environment: environment)
        return try parser.parse(text)
    }

    private static func text(of path: FilePath) throws(ConfigurationError) -> String {
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw ConfigurationError(rule: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw ConfigurationError(rule: String(cString: strerror(errno))) }
            if count == 0 { break }
            bytes += chunk.prefix(count)
            guard bytes.count <= fileBytes else { throw ConfigurationError(rule: "longer than \(fileBytes) bytes") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(rule: "not UTF-8")
        }
        return text
    }
}
