import ArgumentParser
import JSON
import LedgerFormat

/// `evidence submit`
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Record events.",
        discussion: """
            Reads events as JSON from a file or from standard input: one object, an array, or one object after \
            another. Or give one event by --type, --actor, --stream, --body and --claim. Prints a receipt for each \
            when it is durable: index, time, leaf hash, and whether it is new or a duplicate.

            request is the idempotency key, a lower-case UUID; one that is missing is made up. To be able to retry, \
            set it: the same request with the same content gives the first receipt again and records nothing. Up to \
            1,000 events go in one call, and a call is recorded as a whole or not at all.

            What may identify a person belongs into claims, never into the body. evidence catalogue TYPE lists a \
            type's fields.

            EXAMPLES
              evidence submit events.json --proof-dir proofs
              evidence submit --type account.registered --actor subject/$ID --stream subject/$ID \\
                --body kind=person --body channel=web --claim subject/$ID phone=13800000000

            \(ExitStatus.help)
            """
    )

    @Argument(
        help: ArgumentHelp("A file of events; - or none: standard input.", valueName: "file"),
        completion: .file()
    )
    var file: String?

    @OptionGroup(title: "One Event") var flags: EventFlags

    @Option(help: ArgumentHelp("The request key of the one event given by --type.", valueName: "uuid"))
    var request: String?

    @Option(
        help: ArgumentHelp("Write INDEX.tlog-proof and INDEX.entry.json into this directory.", valueName: "dir"),
        completion: .directory
    )
    var proofDir: String?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if flags.type != nil, file != nil { throw ValidationError("Give either a file or --type, not both.") }
        if request != nil, flags.type == nil { throw ValidationError("--request needs --type.") }
        if let request, RequestKey(request) == nil { throw ValidationError("--request must be a lower-case UUID.") }
    }

    func run() throws {
        let given: [JSONValue]
        if let event = try flags.event() {
            given = [event]
        } else {
            let path = file ?? "-"
            given = try EventInput.read(LocalFile.read(path), name: path == "-" ? "standard input" : path)
        }
        let events = given.map { EventInput.withRequest($0, fixed: request) }
        if let proofDir { try LocalFile.makeDirectory(proofDir) }
        let connection = try socket.connect()
        var table = Table(header: ["INDEX", "TIME", "LEAF", "STATE"], numeric: [0])
        // Receipts are printed even when a later call fails: what they say is recorded stays recorded.
        defer { if !output.json { table.print() } }
        try connection.append(events, proofs: proofDir != nil) { _, receipt in
            if output.json {
                Terminal.print(json: receipt.json)
            } else {
                let state = receipt.isDuplicate ? "duplicate" : "new"
                table.add([String(receipt.index), receipt.time, receipt.leaf, state])
            }
            if let proofDir {
                try receipt.save(in: proofDir, name: String(receipt.index), connection: connection)
            }
        }
    }
}
