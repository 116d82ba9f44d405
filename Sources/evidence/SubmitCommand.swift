import ArgumentParser
import JSON
import LedgerFormat
import Paths

/// `evidence submit`
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Record events.",
        discussion: """
            Reads events as JSON from a file or from standard input: one object, an array, or one object after \
            another. Or give one event by --type, --actor, --stream, --body and --claim. Prints a receipt for each \
            when it is durable: index, time, leaf hash, and whether it is new or a duplicate.

            request is the idempotency key, a lower-case UUID: the same request with the same content gives the first \
            receipt again and records nothing. An event without one gets one before anything is sent, so that a call \
            whose answer is lost is made again without recording twice; where it stays lost, the command says with \
            which --request to run it again, with the same events. Up to 1,000 events go in one call, and a call is \
            recorded as a whole or not at all.

            A proof that can't be written doesn't stop the rest: every receipt is printed, the proof is named, and \
            the command exits with 74.

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
    var file: FilePath?

    @OptionGroup(title: "One Event") var flags: EventFlags

    @Option(
        help: ArgumentHelp("The request key, or the one of an earlier run to go on with.", valueName: "uuid"),
        transform: Arguments.text
    )
    var request: String?

    @Option(
        help: ArgumentHelp("Write INDEX.tlog-proof and INDEX.entry.json into this directory.", valueName: "dir"),
        completion: .directory
    )
    var proofDir: FilePath?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if flags.type != nil, file != nil { throw ValidationError("Give either a file or --type, not both.") }
        if let request, RequestKey(request) == nil { throw ValidationError("--request must be a lower-case UUID.") }
    }

    func run() throws {
        let given: [JSONValue]
        if let event = try flags.event() {
            given = [event]
        } else {
            let path = file ?? FilePath("-")
            let name = path == FilePath("-") ? "standard input" : path.description
            given = try EventInput.read(LocalFile.read(path), name: name)
        }
        let series = RequestSeries(key: request.flatMap { RequestKey($0) })
        let events = EventInput.withRequests(given, series)
        let directory = try proofDir.map { try ProofDirectory($0, proofs: events.count) }
        let connection = try socket.connect()
        let recorder = Recorder(connection: connection, proofs: directory, series: series)
        var table = Table(header: ["INDEX", "TIME", "LEAF", "STATE"], numeric: [0])
        // Receipts are printed even when a later call fails: what they say is recorded stays recorded.
        defer { if !output.json { table.print() } }
        try recorder.record(events) { _, receipt in
            Array(String(receipt.index).utf8)
        } report: { _, receipt, proof in
            if output.json {
                Terminal.print(json: .object(receipt.members + Terminal.members("proof", proof)))
            } else {
                let state = receipt.isDuplicate ? "duplicate" : "new"
                table.add([String(receipt.index), receipt.time, receipt.leaf, state])
            }
        }
    }
}
