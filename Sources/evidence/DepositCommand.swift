import ArgumentParser
import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// `evidence deposit`
struct DepositCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deposit",
        abstract: "Record that documents exist as they are now.",
        discussion: """
            Reads each file once, takes its SHA-256 and SM3, and records evidence.deposited for it under a new object \
            id. Digests, size and file name are claims of the object: the ledger holds their commitments only, and \
            erasing the object's claims leaves every proof valid. The file itself stays where it is; the ledger \
            doesn't keep a copy.

            Prints index, object and digests of each. With --proof-dir each file gets FILE.tlog-proof and \
            FILE.entry.json, which evidence verify checks without the daemon.

            EXAMPLES
              evidence deposit contract.pdf
              evidence deposit --subject $ID --proof-dir proofs *.pdf

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The documents.", valueName: "file"), completion: .file())
    var files: [String]

    @Option(help: ArgumentHelp("Whose documents they are: 32 hex digits. Default: a new id.", valueName: "id"))
    var subject: String?

    @Option(help: ArgumentHelp("The media type, instead of the one the file's ending stands for.", valueName: "type"))
    var mediaType: String?

    @Option(help: ArgumentHelp("What it is recorded for: deposit or contract.", valueName: "word"))
    var product = "deposit"

    @Option(
        help: ArgumentHelp("Write FILE.tlog-proof and FILE.entry.json into this directory.", valueName: "dir"),
        completion: .directory
    )
    var proofDir: String?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let subject, ID128(subject) == nil {
            throw ValidationError("--subject must be 32 lower-case hex digits.")
        }
    }

    func run() throws {
        let documents = try hash()
        if let proofDir { try LocalFile.makeDirectory(proofDir) }
        let connection = try socket.connect()
        // One id more for the subject, where none was given.
        var ids = try freshIDs(documents.count + (subject == nil ? 1 : 0), connection)
        let subject = subject ?? ids.removeLast()
        let objects = ids
        let events = zip(documents, objects).map { event($0, object: $1, subject: subject) }
        if !output.json { print("subject  \(subject)") }
        try connection.append(events, proofs: proofDir != nil) { position, receipt in
            let document = documents[position]
            report(document, object: objects[position], subject: subject, receipt)
            if let proofDir {
                let path = try receipt.save(in: proofDir, name: LocalFile.name(document.path), connection: connection)
                if !output.json { print("  proof   \(Terminal.printable(path))") }
            }
        }
    }

    private struct Document {
        let path: String
        let digests: FileDigests
    }

    private func hash() throws -> [Document] {
        let total = try files.reduce(UInt64(0)) { try $0 + LocalFile.size($1) }
        var bar = ProgressBar("hashing")
        defer { bar.clear() }
        var done: UInt64 = 0
        return try files.map { path in
            let digests = try FileDigests(path: path) { bar.update(done: done + UInt64(clamping: $0), total: total) }
            done += UInt64(clamping: digests.size)
            return Document(path: path, digests: digests)
        }
    }

    private func freshIDs(_ count: Int, _ connection: Connection) throws -> [String] {
        var ids: [String] = []
        while ids.count < count {
            let reply = try connection.call("NewIds", ["count": .int(Int64(min(100, count - ids.count)))])
            let fresh = try reply.list("ids").compactMap(\.string)
            guard !fresh.isEmpty else { throw Failure(.refused, "the daemon handed out no ids") }
            ids += fresh
        }
        return ids
    }

    private func event(_ document: Document, object: String, subject: String) -> JSONValue {
        let name = LocalFile.name(document.path)
        let claims: JSONValue = .members([
            "sha256": .string(document.digests.sha256.hex), "sm3": .string(document.digests.sm3.hex),
            "size": .int(document.digests.size), "file_name": .string(name),
        ])
        return .members([
            "type": .string("evidence.deposited"), "request": .string(UUIDv7.next().description),
            "actor": .string("subject/\(subject)"),
            "streams": .array([.string("object/\(object)"), .string("subject/\(subject)")]),
            "body": .members([
                "channel": .string("upload"), "media_type": .string(mediaType ?? MediaType.ofFile(named: name)),
                "product": .string(product),
            ]),
            "claims": .object([JSONMember(name: "object/\(object)", value: claims)]),
        ])
    }

    private func report(_ document: Document, object: String, subject: String, _ receipt: Receipt) {
        guard !output.json else {
            Terminal.print(
                json: .members([
                    "file": .string(document.path), "index": .int(receipt.index), "leaf": .string(receipt.leaf),
                    "object": .string(object), "sha256": .string(document.digests.sha256.hex),
                    "size": .int(document.digests.size), "sm3": .string(document.digests.sm3.hex),
                    "subject": .string(subject), "time": .string(receipt.time),
                ])
            )
            return
        }
        print("\n\(Terminal.printable(document.path))")
        print("  index   \(receipt.index)")
        print("  time    \(receipt.time)")
        print("  object  \(object)")
        print("  sha256  \(document.digests.sha256.hex)")
        print("  sm3     \(document.digests.sm3.hex)")
    }
}
