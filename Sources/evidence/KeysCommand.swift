import ArgumentParser
import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// `evidence keys`
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Print the key that verifies the ledger's checkpoints.",
        discussion: """
            Prints the verification key in the form C2SP tools take, NAME+ID+KEY; --pem prints the same public key \
            as PEM for openssl. The daemon's word for it is as good as your trust in the daemon: keep the key once \
            and compare.

            EXAMPLES
              evidence keys > ledger.vkey
              evidence keys --pem > key.pem
              openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in checkpoint.txt -sigfile checkpoint.sig

            \(ExitStatus.help)
            """
    )

    /// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
    private static let derPrefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]

    @Flag(help: "Print the public key as PEM.")
    var pem = false

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
        let text = KeysCommand.pem(key)
        if output.json {
            Terminal.print(json: .members(["pem": .string(text), "vkey": .string(vkey)]))
        } else {
            print(pem ? text : vkey + "\n", terminator: "")
        }
    }

    static func pem(_ key: VerificationKey) -> String {
        let base64 = Base64.encode(derPrefix + key.publicKey)
        return "-----BEGIN PUBLIC KEY-----\n\(base64)\n-----END PUBLIC KEY-----\n"
    }
}
