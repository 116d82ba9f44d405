import ArgumentParser
import Glibc

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
            WatchCommand.self, ProveCommand.self, BundleCommand.self, VerifyCommand.self, InstructionsCommand.self,
            TilesCommand.self, KeysCommand.self, StatusCommand.self, ConfirmClockCommand.self, BackupCommand.self,
            CatalogueCommand.self, InitCommand.self, AuditCommand.self, RecoverCommand.self,
        ]
    )
}

extension Failure {
    /// The parser's own complaint in one line; nil for what is no error, such as a request for help.
    fileprivate init?(usage error: any Error) {
        guard Evidence.exitCode(for: error) == .validationFailure else { return nil }
        self.init(.usage, Evidence.message(for: error).split(separator: "\n").joined(separator: " "))
    }
}

@main
enum Program {
    static func main() {
        do {
            var command = try Evidence.parseAsRoot()
            try command.run()
        } catch let error as ExitCode {
            Evidence.exit(withError: error)
        } catch {
            guard let failure = Failure(explaining: error) ?? Failure(usage: error) else {
                Evidence.exit(withError: error)
            }
            Terminal.complain(failure.message)
            fflush(nil)
            exit(failure.status.rawValue)
        }
    }
}
