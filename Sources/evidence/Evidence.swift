import ArgumentParser
import Glibc
import OpenSSL
import Paths

/// The command line of the evidence ledger.
struct Evidence: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evidence",
        abstract: "Record, find and prove events in an append-only evidence ledger.",
        discussion: """
            Most commands ask the daemon evidenced over its Unix socket. init, audit and recover work on the ledger's \
            files themselves; verify, instructions and catalogue need neither daemon nor files and work \
            on any machine.

            EXAMPLES
              evidence deposit contract.pdf --proof-dir proofs
              evidence find contract.pdf
              evidence verify proofs/contract.pdf.tlog-proof --entry proofs/contract.pdf.entry.json --key ledger.vkey

            \(ExitStatus.help)
            """,
        subcommands: [
            SubmitCommand.self, DepositCommand.self, ShowCommand.self, ListCommand.self, FindCommand.self,
            WatchCommand.self, FetchCommand.self, ObjectsCommand.self, EraseCommand.self, ProveCommand.self,
            BundleCommand.self, VerifyCommand.self,
            InstructionsCommand.self,
            TilesCommand.self, KeysCommand.self, StatusCommand.self, ConfirmClockCommand.self, BackupCommand.self,
            CatalogueCommand.self, InitCommand.self, AuditCommand.self, RepairCommand.self, RecoverCommand.self,
        ]
    )
}

extension Failure {
    /// The parser's own complaint in one line; nil for what is no error, such as a request for help.
    fileprivate init?(usage error: any Error) {
        guard Evidence.exitCode(for: error) == .validationFailure else { return nil }
        // What the parser quotes is the command line, whatever its bytes.
        let lines = ArgumentText.decode(Evidence.message(for: error)).split(separator: UInt8(ascii: "\n"))
        self.init(.usage, lines.map { FilePath.describe($0) }.joined(separator: " "))
    }
}

@main
enum Program {
    static func main() {
        var status = run()
        do {
            // Whatever was printed: a command whose answer did not arrive has not done what it was asked for.
            try StandardOutput.finish()
        } catch {
            Terminal.complain(error.message)
            if status == EXIT_SUCCESS { status = error.status.rawValue }
        }
        exit(status)
    }

    /// Runs the command and gives the exit status.
    private static func run() -> Int32 {
        do {
            var command = try Evidence.parseAsRoot(ArgumentText.all)
            try MissingAlgorithm.check()
            try command.run()
            return EXIT_SUCCESS
        } catch let error as ExitCode {
            return error.rawValue
        } catch {
            if let failure = Failure(explaining: error) ?? Failure(usage: error) {
                Terminal.complain(failure.message)
                return failure.status.rawValue
            }
            // A request for help, for the version, or for a completion script.
            let text = Evidence.fullMessage(for: error)
            let code = Evidence.exitCode(for: error)
            guard code == .success else {
                Terminal.complain(text)
                return code.rawValue
            }
            if !text.isEmpty { print(text) }
            return EXIT_SUCCESS
        }
    }
}
