import ArgumentParser
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// `evidence prove`
struct ProveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove",
        abstract: "Prove that an entry is in the ledger, or that the ledger only grew.",
        discussion: """
            With an index, or a leaf hash, writes a proof of inclusion (a C2SP tlog-proof with the signed checkpoint \
            in it) to standard output or to --output. Together with the entry and the verification key it is all \
            evidence verify needs.

            A file that exists is replaced with --force only; a pipe or a device is written to.

            With --consistency FIRST [SECOND], proves that the tree of FIRST entries is the beginning of that of \
            SECOND (default: the newest checkpoint's), checks the proof, and prints both roots. Compare the first \
            root with the one you kept: nothing before it was changed, removed or back-dated.

            EXAMPLES
              evidence prove 42 -o contract.tlog-proof --entry-out contract.entry.json
              evidence prove --leaf BvQJtJg9wNqN2rCpjA8sZzH8m9o2O0mKc2cC0t7zq7k=
              evidence prove --consistency 1000
              evidence prove --consistency 1000 2000 --json

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The entry's index.", valueName: "index"), transform: Arguments.number)
    var index: UInt64?

    @Option(
        help: ArgumentHelp("The entry's leaf hash in base64, instead of its index.", valueName: "hash"),
        transform: Arguments.text
    )
    var leaf: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Prove growth from one tree size to another.", valueName: "first [second]"),
        transform: Arguments.number
    )
    var consistency: [UInt64] = []

    @Option(
        help: ArgumentHelp("Prove against the checkpoint of this tree size.", valueName: "size"),
        transform: Arguments.number
    )
    var size: UInt64?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Write the proof here; - is standard output.", valueName: "file"),
        completion: .file()
    )
    var output: FilePath?

    @Option(help: ArgumentHelp("Write the entry's exact bytes here.", valueName: "file"), completion: .file())
    var entryOut: FilePath?

    @Flag(help: "Replace output files that exist.")
    var force = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var form: OutputOptions

    func validate() throws {
        guard consistency.count <= 2 else { throw ValidationError("--consistency takes one or two tree sizes.") }
        let asked = [index != nil, leaf != nil, !consistency.isEmpty].filter(\.self).count
        guard asked == 1 else { throw ValidationError("Give an index, or --leaf, or --consistency.") }
        if let leaf, Digest(base64: leaf) == nil { throw ValidationError("--leaf must be 32 bytes in base64.") }
        if !consistency.isEmpty, output != nil || entryOut != nil || size != nil {
            throw ValidationError("--output, --entry-out and --size don't go with --consistency.")
        }
    }

    func run() throws {
        guard let first = consistency.first else { return try proveInclusion() }
        try proveConsistency(first: first, second: consistency.dropFirst().first, try socket.connect())
    }

    private func proveInclusion() throws {
        let proofFile = try OutputFile(output ?? FilePath("-"), force: force)
        let entryFile = try entryOut.map { try OutputFile($0, force: force) }
        guard !form.json || output == nil || !proofFile.isStandardOutput,
            !form.json || entryFile?.isStandardOutput != true
        else { throw Failure(.usage, "--json and another output both go to standard output") }
        try OutputFile.mustDiffer([proofFile, entryFile].compactMap(\.self))
        let connection = try socket.connect()
        let reply = try connection.call(
            "ProveInclusion",
            [
                "index": index.map { .int(Int64(clamping: $0)) }, "leaf": leaf.map { .string($0) },
                "size": size.map { .int(Int64(clamping: $0)) },
            ]
        )
        let index = try reply.number("index")
        let proof = reply["proof"]?.string
        if proof == nil, !form.json || output != nil {
            let size = try reply.number("size")
            throw Failure(
                .refused,
                "no checkpoint was signed at size \(size): leave out --size, or print it with --json"
            )
        }
        try entryFile?.finish(Array(connection.entry(index).text.utf8))
        if form.json { Terminal.print(json: reply) }
        guard let proof, !form.json || output != nil else { return }
        try proofFile.finish(Array(proof.utf8))
        if let output, !proofFile.isStandardOutput {
            Terminal.remark("proof of entry \(index) written to \(output)")
        }
    }

    private func proveConsistency(first: UInt64, second: UInt64?, _ connection: Connection) throws {
        let reply = try connection.call(
            "ProveConsistency",
            ["first": .int(Int64(clamping: first)), "second": second.map { .int(Int64(clamping: $0)) }]
        )
        guard let firstRoot = Digest(base64: try reply.text("firstRoot")),
            let secondRoot = Digest(base64: try reply.text("secondRoot"))
        else { throw Failure(.refused, "the daemon's roots are no hashes") }
        let size = try reply.number("second")
        var hasher = SHA256Hasher()
        do {
            try ProofVerifier.consistency(
                first: UInt64(first),
                second: UInt64(clamping: size),
                firstRoot: firstRoot,
                secondRoot: secondRoot,
                path: try reply.hashes("hashes"),
                hasher: &hasher
            )
        } catch let error as ProofError {
            throw Failure(.refused, "the ledger did not grow from \(first) to \(size) entries: \(error.rawValue)")
        }
        if form.json {
            Terminal.print(json: reply)
            return
        }
        print("the ledger of \(first) entries is the beginning of that of \(size): nothing before was changed")
        var table = Table()
        table.add(["root at \(first)", firstRoot.base64])
        table.add(["root at \(size)", secondRoot.base64])
        table.print()
    }
}
