import ArgumentParser
import Glibc
import LedgerFormat
import Paths

/// `evidence fetch`
struct FetchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Take a copy of a document out of custody.",
        discussion: """
            Records evidence.decrypted, with who asks and why, and only then gets the document. What is not as it was \
            deposited is not given out: the command fails, and no file appears.

            With --to the document comes as an age file for that recipient, encrypted all the way, and evidence.exported \
            records whose key it is. Whoever has the key opens it with age -d.

            Purposes issuance and court-order need an --approver who is another than the actor; court-order needs --order, \
            the entry that records the order. It needs the role retriever.

            EXAMPLES
              evidence fetch $OBJECT --purpose owner-download --actor subject/$ID -o contract.pdf
              evidence fetch $OBJECT --purpose court-order --actor staff/$ID --approver $ID2 --order 1042 \
            --to age1... --recipient $COURT -o contract.pdf.age

            \(ExitStatus.help)
            """
    )

    @Argument(
        help: ArgumentHelp("The document's object: 32 hex digits.", valueName: "object"),
        transform: Arguments.text
    )
    var object: String

    @Option(
        help: ArgumentHelp("Why: owner-download, issuance, court-order or integrity-check.", valueName: "word"),
        transform: Arguments.text
    )
    var purpose: String

    @Option(
        help: ArgumentHelp("Who asks: subject/ID, staff/ID, vendor/ID or system.", valueName: "actor"),
        transform: Arguments.text
    )
    var actor: String

    @Option(help: ArgumentHelp("Who approved it: 32 hex digits.", valueName: "id"), transform: Arguments.text)
    var approver: String?

    @Option(help: ArgumentHelp("The entry that records the order it is opened for.", valueName: "index"))
    var order: Int64?

    @Option(help: ArgumentHelp("An age recipient to encrypt it to.", valueName: "age1..."), transform: Arguments.text)
    var to: String?

    @Option(help: ArgumentHelp("Whose key that is: 32 hex digits.", valueName: "id"), transform: Arguments.text)
    var recipient: String?

    @Option(help: ArgumentHelp("The entry of the issuance it belongs to; with --to.", valueName: "index"))
    var issuance: Int64?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Where it goes; - for standard output.", valueName: "file"),
        completion: .file()
    )
    var output: FilePath

    @Flag(help: "Replace the file where it exists.")
    var force = false

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if ID128(object) == nil { throw ValidationError("The object must be 32 lower-case hex digits.") }
        if (to == nil) != (recipient == nil) { throw ValidationError("--to and --recipient belong together.") }
        if issuance != nil, to == nil { throw ValidationError("--issuance goes with --to.") }
    }

    func run() throws {
        let file = try OutputFile(output, force: force)
        var bar = ProgressBar("fetching")
        defer { bar.clear() }
        let descriptor = try file.descriptor
        // Nobody else's business, whatever the umask says.
        _ = fchmod(descriptor, 0o600)
        try Custody.fetch(resource, to: descriptor, output, socket) { bar.update(done: $0, total: $1) }
        try file.finish()
    }

    private var resource: String {
        var query: [(String, String)] = [("purpose", purpose), ("actor", actor)]
        func add(_ name: String, _ value: String?) { if let value { query.append((name, value)) } }
        add("approver", approver)
        add("order", order.map { String($0) })
        add("recipient_key", to)
        add("recipient", recipient)
        add("issuance", issuance.map { String($0) })
        let fields = query.map { name, value in "\(name)=\(FetchCommand.escaped(value))" }
        return "/objects/\(object)?\(fields.joined(separator: "&"))"
    }

    /// As a query has it: all but letters, digits and `-._~/` as two hex digits a byte.
    private static func escaped(_ text: String) -> String {
        var escaped: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                escaped.append(byte)
            default: escaped += [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 15)]
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
}
