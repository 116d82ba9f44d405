import ArgumentParser
import Daemon
@preconcurrency import Glibc
import Ledger
import Paths
import Service

/// The daemon's command line.
@main
struct Evidenced: ParsableCommand {
    static let version = "0.1.0"
    private static let defaultConfiguration = "/etc/evidenced/evidenced.conf"

    static let configuration = CommandConfiguration(
        commandName: "evidenced",
        abstract: "The evidence ledger daemon.",
        discussion: """
            Opens the ledger the configuration names and serves org.evidenced.Ledger on a Unix socket, in the native \
            Varlink protocol and its HTTP binding, until it gets SIGTERM or SIGINT. It then answers what it has \
            accepted, records that it stopped, and exits.

            It runs in the foreground and logs to standard error. Under systemd it takes the listening socket, \
            reports readiness and gives signs of life as the unit asks. It never opens a network connection.

            A ledger is never created by the daemon: use 'evidence init'.

            EXIT STATUS
              0   stopped as told
              64  the command line is wrong
              65  the ledger's parts don't belong together or are damaged; the message says what to do, and \
            restarting doesn't help
              71  the system refused something, such as binding the socket, or its OpenSSL lacks an algorithm
              74  a write or sync failed while running; the next start decides what is in the ledger
              78  the configuration is wrong

            FILES
              \(defaultConfiguration)   configuration; 'evidenced --help-config' documents every key

            SEE ALSO
              evidence(1), ledger-format.md
            """,
        version: version
    )

    @Option(
        name: .long,
        help: ArgumentHelp("The configuration file.", valueName: "file"),
        completion: .file(),
        transform: { FilePath(bytes: ArgumentText.decode($0)) ?? FilePath("") }
    )
    var config = FilePath(Evidenced.defaultConfiguration)

    @Flag(
        name: .long,
        help: "Check the configuration, say how many principals it has and what may be unwise, and exit."
    )
    var checkConfig = false

    @Flag(name: .long, help: "Print every configuration key with its meaning, unit and default, and exit.")
    var helpConfig = false

    static func main() {
        do {
            let command = try parse(ArgumentText.all)
            try command.run()
        } catch {
            guard exitCode(for: error) == .success else { exit(withError: error) }
            // A request for help, for the version, or for a completion script; SIGTERM after a day's work has none.
            let text = fullMessage(for: error)
            if !text.isEmpty { print(text) }
            guard Process.isOutputWritten() else { exit(withError: ExitCode(DaemonExit.writeFailed)) }
        }
    }

    func run() throws {
        if helpConfig {
            print(Configuration.reference, terminator: "")
            guard Process.isOutputWritten() else { throw ExitCode(DaemonExit.writeFailed) }
            return
        }
        let environment = Process.environment
        let configuration: Configuration
        do {
            configuration = try Configuration.load(path: config, environment: environment)
        } catch {
            Process.complain("\(error)")
            throw ExitCode(DaemonExit.configuration)
        }
        if checkConfig {
            print("\(config): correct, \(configuration.access.principals.count) principals")
            let exposures = configuration.exposures(file: config, environment: environment)
            for warning in configuration.locations.warnings + exposures { Process.complain("warning: \(warning)") }
            guard Process.isOutputWritten() else { throw ExitCode(DaemonExit.writeFailed) }
            return
        }
        throw ExitCode(DaemonProcess(configuration: configuration, environment: environment).run())
    }
}

/// What the process knows of itself.
enum Process {
    static var environment: [String: String] {
        var variables: [String: String] = [:]
        var pointer = environ
        while let entry = pointer.pointee {
            let bytes = UnsafeRawBufferPointer(start: entry, count: strlen(entry))
            if let equals = bytes.firstIndex(of: UInt8(ascii: "=")) {
                let name = String(decoding: bytes[..<equals], as: UTF8.self)
                variables[name] = String(decoding: bytes[(equals + 1)...], as: UTF8.self)
            }
            pointer += 1
        }
        return variables
    }

    /// Writes out what was printed; false, and a message, where it could not be.
    static func isOutputWritten() -> Bool {
        guard fflush(stdout) != 0 || ferror(stdout) != 0 else { return true }
        complain("standard output: \(String(cString: strerror(errno)))")
        return false
    }

    static func complain(_ message: String) {
        let line = Array("evidenced: \(message)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// Exit statuses of the daemon, after sysexits(3).
enum DaemonExit {
    static let stopped: Int32 = 0
    /// The ledger's parts don't belong together, or are damaged.
    static let refused: Int32 = 65
    /// The system refused something.
    static let system: Int32 = 71
    /// A write or sync failed while running.
    static let writeFailed: Int32 = 74
    static let configuration: Int32 = 78
}
