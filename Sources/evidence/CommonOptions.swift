import ArgumentParser
import Daemon
import Glibc
import Ledger
import Paths
import Varlink

/// Where the daemon is. Part of every command that asks it.
struct SocketOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's socket.",
            discussion: "Default: $EVIDENCED_SOCKET, else /run/evidenced/evidenced.sock.",
            valueName: "path"
        ),
        completion: .file(),
        transform: Arguments.text
    )
    var socket: String?

    /// Connects to the daemon.
    ///
    /// - Parameter timeoutSeconds: how long a wait for an answer may take; 0 for ever.
    func connect(timeoutSeconds: Int = 60) throws -> Connection {
        try Connection(path: path, timeoutSeconds: timeoutSeconds)
    }

    /// Connects to the daemon for what it serves over HTTP.
    func connectHTTP() throws -> HTTPClient { try HTTPClient(path: path) }

    /// Where the socket is.
    var path: String { socket ?? Environment.value("EVIDENCED_SOCKET") ?? "/run/evidenced/evidenced.sock" }
}

/// The form of the output.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON, one value a line, instead of text for people.")
    var json = false
}

/// Where the ledger's files are. Part of the commands that work without the daemon.
struct LocalOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's configuration, which says where the ledger is.",
            discussion: "Default: /etc/evidenced/evidenced.conf where that exists.",
            valueName: "file"
        ),
        completion: .file()
    )
    var config: FilePath?

    @Option(
        help: ArgumentHelp("The store, instead of the configured one.", valueName: "dir"),
        completion: .directory,
        transform: Arguments.text
    )
    var store: String?

    @Option(
        help: ArgumentHelp("The index, instead of the configured one.", valueName: "dir"),
        completion: .directory,
        transform: Arguments.text
    )
    var index: String?

    @Option(
        help: ArgumentHelp("The key tree, instead of the configured one.", valueName: "dir"),
        completion: .directory,
        transform: Arguments.text
    )
    var keys: String?

    @Option(
        help: ArgumentHelp("The checkpoint lock, instead of the configured one.", valueName: "file"),
        transform: Arguments.text
    )
    var lock: String?

    @Option(
        help: ArgumentHelp("The keyring, instead of the configured one.", valueName: "file"),
        completion: .file(),
        transform: Arguments.text
    )
    var keyring: String?

    /// The files to work on: the configured ones, but for those named on the command line. From then on keys may be read.
    func resolve() throws -> (locations: LedgerLocations, keyring: String) {
        for line in SecretMemory.prepare() { Terminal.remark(line) }
        let environment = ["CREDENTIALS_DIRECTORY"].reduce(into: [String: String]()) { values, name in
            values[name] = Environment.value(name)
        }
        let standard = FilePath("/etc/evidenced/evidenced.conf")
        let configuration: Configuration
        if let path = config ?? (LocalFile.exists(standard) ? standard : nil) {
            guard path.withCString({ access($0, R_OK) }) == 0 else { throw Failure(path: path, errno: errno) }
            do {
                configuration = try Configuration.load(path: path, environment: environment)
            } catch {
                throw Failure(.usage, "\(error)")
            }
        } else {
            configuration = try Configuration.parse("", environment: environment)
        }
        let locations = LedgerLocations(
            store: store ?? configuration.store,
            index: index ?? configuration.index,
            keys: keys ?? configuration.keys,
            lock: lock ?? configuration.checkpointLock
        )
        return (locations, keyring ?? configuration.keyring)
    }
}

/// The process's environment variables.
enum Environment {
    /// The variable's value; nil where it is unset or empty.
    static func value(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The variable's value as a path; nil where it is unset or empty.
    static func path(_ name: String) -> FilePath? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return FilePath(bytes: UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }
}
