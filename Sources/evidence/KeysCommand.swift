import ArgumentParser
import Bundle
import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// `evidence keys`
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Print the key that verifies the ledger's checkpoints; care for the keys of its claims.",
        discussion: """
            Without a subcommand, the same as evidence keys show. rotate, backup and restore are about the key tree under \
            which claims are sealed, and work on the ledger's files.

            EXAMPLES
              evidence keys > ledger.vkey
              sudo -u evidenced evidence keys backup /mnt/safe/keys-monday

            \(ExitStatus.help)
            """,
        subcommands: [ShowKey.self, KeysRotateCommand.self, KeysBackupCommand.self, KeysRestoreCommand.self],
        defaultSubcommand: ShowKey.self
    )
}

/// `evidence keys show`
struct ShowKey: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print the key that verifies the ledger's checkpoints.",
        discussion: """
            Prints the verification key in the form C2SP tools take, NAME+ID+KEY; --pem prints the same public key \
            as PEM for openssl, --fingerprint its SHA-256 to be compared with what a bundle's page shows. The \
            daemon's word for it is as good as your trust in the daemon: keep the key once and compare.

            EXAMPLES
              evidence keys > ledger.vkey
              evidence keys --pem > key.pem
              openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in checkpoint.txt -sigfile checkpoint.sig

            \(ExitStatus.help)
            """
    )

    @Flag(help: "Print the public key as PEM.")
    var pem = false

    @Flag(help: "Print the SHA-256 of the public key (of its DER), as a bundle's page shows it.")
    var fingerprint = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let reply = try socket.connect().call("GetCheckpoint")
        let vkey = try reply.text("vkey")
        let key: VerificationKey
        do {
            let hasher = SHA256Hasher()
            key = try VerificationKey(parsing: vkey) { hasher.hash($0) }
        } catch {
            throw Failure(.refused, "the daemon's verification key is malformed: \(error)")
        }
        let text = PublicKeyText.pem(key.publicKey)
        let digest = PublicKeyText.fingerprint(key.publicKey).hex
        if output.json {
            Terminal.print(
                json: .members(["fingerprint": .string(digest), "pem": .string(text), "vkey": .string(vkey)])
            )
        } else {
            print(pem ? text : (fingerprint ? digest : vkey) + "\n", terminator: "")
        }
    }

    func validate() throws {
        if pem, fingerprint { throw ValidationError("--pem and --fingerprint don't go together.") }
    }
}
