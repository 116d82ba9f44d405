import ArgumentParser
import JSON
import LedgerFormat
import Paths

/// `evidence erase`
struct EraseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Destroy what was asked to be erased, for good.",
        discussion: """
            Takes the index of the entry that asked for it, an erasure.requested, and does what it says: records \
            erasure.executed, and destroys the keys of the scopes it names. When the command ends, no claim under them \
            can be opened any more, in this ledger or in any copy of its store. Every proof, checkpoint and bundle stays \
            valid. With --keep, the scopes named there are left, and erasure.partial says so.

            Copies of the key tree (the directory keys, with root.key) from before still open what was erased: destroy \
            them now. It needs the role eraser.

            EXAMPLES
              evidence erase 1042
              evidence erase 1042 --approvals 1043,1044 --proof-dir proofs
              evidence erase 1042 --keep object/$ID --reason law

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The entry that asked for it.", valueName: "index"))
    var requested: Int64

    @Option(
        help: ArgumentHelp("Entries by which parties agreed to it, with commas between.", valueName: "indexes"),
        transform: Arguments.text
    )
    var approvals: String?

    @Option(
        name: .customLong("keep"),
        help: ArgumentHelp("A scope that was named and is not erased. Give it once for each.", valueName: "kind/id"),
        transform: Arguments.text
    )
    var kept: [String] = []

    @Option(
        help: ArgumentHelp("Why scopes are kept: business, hold or law.", valueName: "code"),
        transform: Arguments.text
    )
    var reason: String?

    @Option(
        help: ArgumentHelp("The request key of an earlier run to go on with.", valueName: "uuid"),
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
        if kept.isEmpty != (reason == nil) { throw ValidationError("--keep and --reason belong together.") }
        if !kept.isEmpty, approvals != nil { throw ValidationError("--approvals can't be given with --keep.") }
        if let request, RequestKey(request) == nil { throw ValidationError("--request must be a lower-case UUID.") }
    }

    func run() throws {
        let connection = try socket.connect()
        let asked = try connection.entry(requested).entry
        let series = RequestSeries(key: request.flatMap { RequestKey($0) })
        let (event, erased) = try event(asked)
        let directory = try proofDir.map { try ProofDirectory($0, proofs: 1) }
        let recorder = Recorder(connection: connection, proofs: directory, series: series, method: "Erase")
        try recorder.record(EventInput.withRequests([event], series)) { _, receipt in
            Array(String(receipt.index).utf8)
        } report: { _, receipt, proof in
            if output.json {
                let scopes = JSONMember(name: "erased", value: .array(erased.map { .string($0) }))
                Terminal.print(json: .object(receipt.members + [scopes] + Terminal.members("proof", proof)))
            } else {
                let state = receipt.isDuplicate ? "was done before" : "done"
                print("erasure \(receipt.index) is \(state): \(erased.joined(separator: ", "))")
                Terminal.remark("destroy every copy of the key tree from before \(receipt.time): it still opens this")
            }
        }
    }

    /// The event, and the scopes it erases.
    private func event(_ asked: Entry) throws -> (JSONValue, [String]) {
        guard asked.type.utf8.elementsEqual("erasure.requested".utf8),
            let stream = asked.streams.first(where: { $0.stream.kind == .request })?.stream,
            let named = asked.body["scopes"]?.array?.compactMap(\.string)
        else { throw Failure(.usage, "entry \(requested) asks for no erasure: it is of the type \(asked.type)") }
        for scope in kept where !named.contains(where: { $0.utf8.elementsEqual(scope.utf8) }) {
            throw Failure(.usage, "--keep: \(scope) is not among the scopes entry \(requested) names")
        }
        let erased = named.filter { scope in !kept.contains { $0.utf8.elementsEqual(scope.utf8) } }
        var body: [JSONMember] = [JSONMember(name: "requested", value: .int(requested))]
        func list(_ name: String, _ scopes: [String]) {
            body.append(JSONMember(name: name, value: .array(scopes.map { .string($0) })))
        }
        if let reason {
            list("erased", erased)
            list("kept", kept)
            body.append(JSONMember(name: "reason", value: .string(reason)))
        } else {
            list("scopes", erased)
            if let approvals {
                let indexes = try approvals.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
                    .map {
                        guard let index = Int64(String(Substring($0))) else {
                            throw Failure(.usage, "--approvals must be indexes with commas between")
                        }
                        return JSONValue.int(index)
                    }
                body.append(JSONMember(name: "approvals", value: .array(indexes)))
            }
        }
        return (
            .members([
                "type": .string(reason == nil ? "erasure.executed" : "erasure.partial"), "actor": .string("system"),
                "streams": .array([.string(stream.description)]), "body": .object(body), "claims": .object([]),
            ]), erased
        )
    }
}
