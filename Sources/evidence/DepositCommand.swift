import ArgumentParser
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// `evidence deposit`
struct DepositCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deposit",
        abstract: "Have documents kept, or record that they exist as they are now.",
        discussion: """
            Takes each file into custody under a new object id: the daemon takes its SHA-256 and SM3 itself, keeps it \
            encrypted under a key of its own, and records evidence.deposited and evidence.sealed. When the command ends, \
            the document is durable. evidence fetch gets it back. Digests, size and file name are claims of the object: the \
            ledger holds their commitments only. Erasing the object destroys claims and document for good, and leaves \
            every proof valid.

            With --digest-only nothing is kept but the digests, which this command takes: the ledger then shows that a \
            document existed, for whoever still has it.

            A file that is written to meanwhile is refused, and so is one whose name is not UTF-8 text: a claim is \
            text, and a name in another encoding can't be told from its bytes. Say it with --file-name, or leave it \
            out with --without-file-name. Nothing is recorded then of the other files either.

            Prints index, object and digests of each. With --proof-dir each file gets FILE.tlog-proof and \
            FILE.entry.json, which evidence verify checks without the daemon; a name too long for that is cut. A \
            proof that can't be written doesn't stop the rest: what is recorded is printed, the proof is named, and \
            the command exits with 74.

            A call whose answer is lost is made again without recording twice. Where it stays lost, the command says \
            with which --request to run it again, with the same files in the same order.

            EXAMPLES
              evidence deposit contract.pdf
              evidence deposit --digest-only contract.pdf
              evidence deposit --subject $ID --proof-dir proofs *.pdf

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The documents.", valueName: "file"), completion: .file())
    var files: [FilePath]

    @Option(
        help: ArgumentHelp("Whose documents they are: 32 hex digits. Default: a new id.", valueName: "id"),
        transform: Arguments.text
    )
    var subject: String?

    @Option(
        help: ArgumentHelp("The media type, instead of the one the file's ending stands for.", valueName: "type"),
        transform: Arguments.text
    )
    var mediaType: String?

    @Option(
        help: ArgumentHelp("What it is recorded for: deposit or contract.", valueName: "word"),
        transform: Arguments.text
    )
    var product = "deposit"

    @Option(
        help: ArgumentHelp("What the one file is called, instead of its own name.", valueName: "name"),
        transform: Arguments.text
    )
    var fileName: String?

    @Flag(help: "Keep no document: record its digests alone.")
    var digestOnly = false

    @Flag(help: "Record no file names.")
    var withoutFileName = false

    @Flag(help: "Record the SHA-256 alone, such as where this computer's OpenSSL has no SM3.")
    var withoutSm3 = false

    @Option(
        help: ArgumentHelp("The request key of an earlier run, to go on with.", valueName: "uuid"),
        transform: Arguments.text
    )
    var request: String?

    @Option(
        help: ArgumentHelp("Write FILE.tlog-proof and FILE.entry.json into this directory.", valueName: "dir"),
        completion: .directory
    )
    var proofDir: FilePath?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let subject, ID128(subject) == nil {
            throw ValidationError("--subject must be 32 lower-case hex digits.")
        }
        if let request, RequestKey(request) == nil { throw ValidationError("--request must be a lower-case UUID.") }
        if fileName != nil, files.count != 1 || withoutFileName {
            throw ValidationError("--file-name goes with one file, and not with --without-file-name.")
        }
    }

    func run() throws {
        let names = try files.map(recordedName)
        let documents = try hash()
        let series = RequestSeries(key: request.flatMap { RequestKey($0) })
        let subject = subject ?? series.id("subject")
        let objects = documents.indices.map { series.id("object", $0) }
        let events = documents.indices.map { position in
            event(documents[position], name: names[position], object: objects[position], subject: subject)
        }
        let directory = try proofDir.map { try ProofDirectory($0, proofs: documents.count) }
        guard digestOnly else { return try keep(documents, events, series, directory, objects: objects, subject) }
        let recorder = Recorder(connection: try socket.connect(), proofs: directory, series: series)
        if !output.json { print("subject  \(subject)") }
        try recorder.record(EventInput.withRequests(events, series)) { position, _ in
            documents[position].path.name
        } report: { position, receipt, proof in
            report(documents[position], object: objects[position], subject: subject, receipt, proof)
        }
    }

    /// Has the daemon keep the documents, one after the other.
    private func keep(
        _ documents: [Document],
        _ events: [JSONValue],
        _ series: RequestSeries,
        _ proofs: ProofDirectory?,
        objects: [String],
        _ subject: String
    ) throws {
        let connection = try socket.connect()
        let custody = Custody(socket, connection)
        let recorder = Recorder(connection: connection, proofs: proofs, series: series)
        let total = documents.reduce(UInt64(0)) { $0 + UInt64(clamping: $1.digests.size) }
        var done: UInt64 = 0
        var bar = ProgressBar("depositing")
        defer { bar.clear() }
        if !output.json { print("subject  \(subject)") }
        let requested = EventInput.withRequests(events, series)
        try recorder.record(documents.count) { position in
            let document = documents[position]
            let receipts = try custody.deposit(
                document.path,
                event: requested[position],
                size: document.digests.size,
                sha256: document.digests.sha256.hex,
                proofs: proofs != nil
            ) { bar.update(done: done + $0, total: total) }
            done += UInt64(clamping: document.digests.size)
            bar.clear()
            guard let receipt = receipts.first else { throw Failure(.refused, "the daemon sent no receipt") }
            return receipt
        } name: { position, _ in
            documents[position].path.name
        } report: { position, receipt, proof in
            report(documents[position], object: objects[position], subject: subject, receipt, proof)
        }
    }

    private struct Document {
        let path: FilePath
        let digests: FileDigests
    }

    /// The name that is recorded of a file; nil for none.
    private func recordedName(_ path: FilePath) throws -> String? {
        guard !withoutFileName else { return nil }
        guard let name = fileName ?? String(validating: path.name, as: UTF8.self) else {
            throw Failure(
                .usage,
                "\(path): its name is not UTF-8 text, as a claim must be: "
                    + "give the name with --file-name, or leave it out with --without-file-name"
            )
        }
        return name
    }

    private func hash() throws -> [Document] {
        guard withoutSm3 || RunningDigest.hasSM3 else {
            throw Failure(.system, "\(MissingAlgorithm.sm3): --without-sm3 records the SHA-256 alone")
        }
        let total = try files.reduce(UInt64(0)) { try $0 + LocalFile.size($1) }
        var bar = ProgressBar("hashing")
        defer { bar.clear() }
        var done: UInt64 = 0
        return try files.map { path in
            let digests = try FileDigests(path: path, withSM3: !withoutSm3) {
                bar.update(done: done + UInt64(clamping: $0), total: total)
            }
            done += UInt64(clamping: digests.size)
            return Document(path: path, digests: digests)
        }
    }

    /// What is recorded of a document; where the daemon keeps it, it adds what it takes from it itself.
    private func event(_ document: Document, name: String?, object: String, subject: String) -> JSONValue {
        var body = [
            JSONMember(name: "channel", value: .string("upload")), JSONMember(name: "product", value: .string(product)),
        ]
        var claims: [JSONMember] = []
        if digestOnly {
            body.append(JSONMember(name: "custody", value: .string("digest-only")))
            claims.append(JSONMember(name: "sha256", value: .string(document.digests.sha256.hex)))
            claims.append(JSONMember(name: "size", value: .int(document.digests.size)))
            if let sm3 = document.digests.sm3 { claims.append(JSONMember(name: "sm3", value: .string(sm3.hex))) }
        }
        if let name { claims.append(JSONMember(name: "file_name", value: .string(name))) }
        let type = mediaType ?? MediaType.ofFile(named: fileName.map { Array($0.utf8) } ?? document.path.name)
        return .members([
            "type": .string("evidence.deposited"), "actor": .string("subject/\(subject)"),
            "streams": .array([.string("object/\(object)"), .string("subject/\(subject)")]),
            "body": .object(body + [JSONMember(name: "media_type", value: .string(type))]),
            "claims": .object(
                claims.isEmpty ? [] : [JSONMember(name: "object/\(object)", value: .object(claims))]
            ),
        ])
    }

    private func report(
        _ document: Document,
        object: String,
        subject: String,
        _ receipt: Receipt,
        _ proof: FilePath?
    ) {
        guard !output.json else {
            let own = [
                JSONMember(name: "object", value: .string(object)),
                JSONMember(name: "sha256", value: .string(document.digests.sha256.hex)),
                JSONMember(name: "size", value: .int(document.digests.size)),
                JSONMember(name: "sm3", value: document.digests.sm3.map { .string($0.hex) } ?? .null),
                JSONMember(name: "subject", value: .string(subject)),
            ]
            let paths = Terminal.members("file", document.path) + Terminal.members("proof", proof)
            Terminal.print(json: .object(own + receipt.members + paths))
            return
        }
        print("\n\(Terminal.printable(document.path.description))")
        print("  index   \(receipt.index)")
        print("  time    \(receipt.time)")
        print("  object  \(object)")
        print("  sha256  \(document.digests.sha256.hex)")
        if let sm3 = document.digests.sm3 { print("  sm3     \(sm3.hex)") }
        if let proof { print("  proof   \(Terminal.printable(proof.description))") }
    }
}
