import ArgumentParser
import Bundle
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// `evidence bundle`
struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Pack entries with everything needed to check them, for use outside.",
        discussion: """
            Writes one ZIP archive with the selected entries, their proofs under the newest checkpoint, the ledger's \
            keys, and instructions in English and Chinese. Whoever gets it checks it offline: with index.html in a \
            browser, with sha256sum and openssl as VERIFY.txt says, or with evidence verify. The entries that \
            establish the ledger's key are always in it, and so is what was signed when the newest selected entry was \
            recorded, and what the ledger recorded of its clock and its software before and after the selected ones. \
            Entries that others cite are in it where they are selected, or with --with-cited; else the bundle says \
            which are not there. The bundle is verified before it gets its name.

            Personal values stay sealed unless --open names them, which takes the role that may open claims. An \
            original gets in under a number, not under its name; the claim that holds its SHA-256 is opened.

            A file that exists is replaced with --force only, one that goes into the bundle never. A pipe or a device \
            is written to once the bundle is verified; - is standard output.

            EXAMPLES
              evidence bundle --stream contract/0190b4c1d2e3f4a5b6c7d8e9f0a1b2c3 -o case.zip
              evidence bundle --stream contract/0190b4c1d2e3f4a5b6c7d8e9f0a1b2c3 --with-cited --open name -o case.zip
              evidence bundle --file contract.pdf --open file_name,size -o case.zip
              evidence bundle --index 42 43 --open all -o case.zip --key ledger.vkey
              evidence bundle --since 2026-01-01 --until 2026-02-01 -o january.zip

            \(ExitStatus.help)
            """
    )

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("All entries of these streams.", valueName: "kind/id"),
        transform: Arguments.text
    )
    var stream: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("These entries.", valueName: "index"),
        transform: Arguments.number
    )
    var index: [UInt64] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("The entries that record these files, and the files themselves.", valueName: "file"),
        completion: .file()
    )
    var file: [FilePath] = []

    @Option(help: ArgumentHelp("Entries from this time on.", valueName: "time"))
    var since: Moment?

    @Option(help: ArgumentHelp("Entries before this time.", valueName: "time"))
    var until: Moment?

    @Option(
        help: ArgumentHelp("Disclose these claims: names with commas between, or all.", valueName: "names"),
        transform: Arguments.text
    )
    var open: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Add these files, which selected entries record.", valueName: "file"),
        completion: .file()
    )
    var original: [FilePath] = []

    @Flag(help: "Leave the files of --file out.")
    var withoutOriginal = false

    @Flag(help: "Add the entries that the selected ones cite, and those these cite.")
    var withCited = false

    @Option(
        name: .customLong("checkpoint"),
        parsing: .upToNextOption,
        help: ArgumentHelp("Prove that the ledger only grew since these older checkpoints.", valueName: "note"),
        completion: .file()
    )
    var checkpoints: [FilePath] = []

    @Option(
        help: ArgumentHelp("The verification key the ledger must have, or a file that holds it.", valueName: "vkey")
    )
    var key: FilePath?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Write the bundle here.", valueName: "file"),
        completion: .file()
    )
    var output: FilePath

    @Flag(help: "Replace a file that exists.")
    var force = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var form: OutputOptions

    func validate() throws {
        guard !stream.isEmpty || !index.isEmpty || !file.isEmpty || since != nil || until != nil else {
            throw ValidationError("Select entries with --stream, --index, --file, --since or --until.")
        }
        // A stream is in the bundle as a whole, and says so; part of one would look like it.
        if since != nil || until != nil, !stream.isEmpty || !index.isEmpty || !file.isEmpty {
            throw ValidationError("--since and --until don't go with --stream, --index or --file.")
        }
        for text in stream where StreamID(text) == nil {
            throw ValidationError("--stream must be kind/ID with 32 lower-case hex digits.")
        }
        for name in names ?? []
        where !EventCatalogue.all.contains(where: { type in
            type.claims.contains { $0.name.utf8.elementsEqual(name.utf8) }
        }) {
            throw ValidationError("--open names a claim that no type of event has: \(name)")
        }
    }

    /// The claims to open; nil for all.
    private var names: [String]? {
        guard let open else { return [] }
        return open.utf8.elementsEqual("all".utf8) ? nil : Arguments.names(open)
    }

    func run() throws {
        let trusted = try key.map(KeyArgument.read)
        let target = try OutputFile(
            output,
            force: force,
            inputs: file + original + checkpoints + (key.map { [$0] } ?? [])
        )
        guard !form.json || !target.isStandardOutput else {
            throw Failure(.usage, "--json and --output both go to standard output")
        }
        var gathering = try BundleGathering(connection: socket.connect())
        try gathering.establishKeys()
        for text in stream { try gathering.select(stream: text) }
        try gathering.select(indexes: index.map(Int64.init))
        for path in file { try gathering.select(file: path) }
        if since != nil || until != nil { try gathering.select(since: since, until: until) }
        for path in (withoutOriginal ? [] : file) + original { try gathering.add(original: path) }
        if withCited { try gathering.addCited() }
        gathering.addCircumstances()
        try gathering.open(names)
        try gathering.prove()
        try gathering.addReceiptTimeCheckpoint()
        for path in checkpoints { try gathering.add(checkpoint: path) }
        let contents = gathering.contents
        do {
            try BundleWriter.write(contents, to: try target.descriptor, name: output.description, key: trusted)
        } catch let error as BundleWriterError {
            throw Failure(.refused, error.description)
        }
        let sha256 = try FileDigests(path: FilePath(Draft.path(of: try target.descriptor))).sha256.hex
        try target.finish()
        if target.isStandardOutput {
            Terminal.remark("the bundle's SHA-256 is \(sha256)")
        } else {
            report(gathering, sha256: sha256)
        }
    }

    private func report(_ gathering: BundleGathering, sha256: String) {
        let contents = gathering.contents
        let disclosed = gathering.disclosed
        if form.json {
            Terminal.print(
                json: .members([
                    "absent": .array(gathering.absent.sorted().map { .int(Int64($0)) }),
                    "cited": .int(Int64(gathering.brought.count)),
                    "consistency": .int(Int64(contents.consistency.count)),
                    "disclosed": .object(disclosed.map { JSONMember(name: $0.name, value: .int(Int64($0.count))) }),
                    "entries": .int(Int64(contents.items.count)), "erased": .int(Int64(gathering.erased)),
                    "file": .string(output.description), "origin": .string(gathering.checkpoint.origin),
                    "originals": .int(Int64(contents.originals.count)),
                    "selected": .int(Int64(gathering.selected.count)), "sha256": .string(sha256),
                    "size": .int(Int64(gathering.checkpoint.size)), "withheld": .int(Int64(gathering.withheld)),
                ])
            )
            return
        }
        let total = disclosed.reduce(0) { $0 + $1.count }
        let names = disclosed.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        var table = Table()
        table.add(["bundle", output.description])
        table.add(["sha256", sha256])
        table.add(["entries", "\(gathering.selected.count) selected, \(contents.items.count) in the bundle"])
        let absent = gathering.absent.sorted().map(String.init)
        if !gathering.brought.isEmpty { table.add(["cited entries brought", String(gathering.brought.count)]) }
        if !absent.isEmpty {
            let more = absent.count > 20 ? " and others" : ""
            table.add([
                "cited, not in the bundle",
                "\(absent.prefix(20).joined(separator: ", "))\(more); --with-cited adds them",
            ])
        }
        table.add(["checkpoint", "\(gathering.checkpoint.origin), \(gathering.checkpoint.size) entries"])
        table.add(["older checkpoints", String(contents.consistency.count)])
        table.add(["claims disclosed", total == 0 ? "none" : "\(total): \(names)"])
        table.add(["claims withheld", String(gathering.withheld)])
        if gathering.erased > 0 { table.add(["claims erased", "of \(gathering.erased) entries"]) }
        table.add(["originals", String(contents.originals.count)])
        table.print()
    }
}
