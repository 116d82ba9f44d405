import ArgumentParser
import JSON
import Ledger
import Paths

/// `evidence init`
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a ledger.",
        discussion: """
            Creates the store and the checkpoint lock, and the keyring where there is none, and records the first \
            entry. Prints the verification key: hand it to everybody who is to check proofs. What exists is never \
            overwritten. Run it as the user the daemon runs as, before the daemon starts for the first time.

            The origin names the ledger for ever; it stands in every checkpoint. Take a name you own, such as \
            example.com/ledger.

            EXAMPLES
              sudo -u evidenced evidence init --origin example.com/ledger
              evidence init --config ./evidenced.conf --origin demo.example/ledger > ledger.vkey

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("The ledger's name in its checkpoints.", valueName: "name"), transform: Arguments.text)
    var origin: String

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, path) = try local.resolve()
        try LedgerCreation.checkFree(locations, origin: origin)
        let isNew = !LocalFile.exists(FilePath(path))
        let keyring = isNew ? try Keyring.create(path: path) : try Keyring.load(path: path)
        let vkey = try LedgerCreation.create(at: locations, origin: origin, keyring: keyring)
        if isNew { Terminal.remark("created the keyring \(path); keep a copy of it in a safe place") }
        if output.json {
            Terminal.print(json: .members(["origin": .string(origin), "vkey": .string(vkey)]))
        } else {
            print(vkey)
        }
    }
}
