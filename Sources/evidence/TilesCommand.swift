import ArgumentParser
import Bundle
import JSON
import Ledger
import LedgerFormat
import Merkle
import OpenSSL
import Paths
import Varlink

/// `evidence tiles`
struct TilesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tiles",
        abstract: "Publish the ledger's tree as plain files.",
        subcommands: [TilesExportCommand.self]
    )
}

/// `evidence tiles export`
struct TilesExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write or update a directory any web server can serve.",
        discussion: """
            Writes the newest checkpoint, the tree and the entries into a directory in the layout of C2SP tlog-tiles: \
            checkpoint, tile/LEVEL/… and tile/entries/…. Personal values are not in it: entries hold commitments only.

            A directory that holds an older tree of this ledger is brought up to date. Before that the old checkpoint \
            is verified, and afterwards that its tree is the beginning of the new one, so that a directory never \
            contradicts what it said. Only what changed is touched; each file appears whole; checkpoint is replaced \
            last. Run it as often as you like, from a timer: one at a time per directory, a second is refused.

            EXAMPLES
              evidence tiles export /var/www/ledger
              evidence tiles export /var/www/ledger --key ledger.vkey --json

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The directory.", valueName: "dir"), completion: .directory)
    var directory: FilePath

    @Option(
        help: ArgumentHelp("The verification key the ledger must have, or a file that holds it.", valueName: "vkey")
    )
    var key: FilePath?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let trusted = try key.map(KeyArgument.read)
        let connection = try socket.connect()
        let target = try TileDirectory(directory)
        let reply = try connection.call("GetCheckpoint")
        let vkey = try reply.text("vkey")
        let hasher = SHA256Hasher()
        if let trusted, try !trusted.isKey(VerificationKey(parsing: vkey) { hasher.hash($0) }) {
            throw Failure(.refused, "the ledger's key is another one: \(vkey)")
        }
        let newest = try PublishedCheckpoint(note: reply.text("checkpoint"), vkeys: [vkey])
        let older = try target.checkpoint().map { try check($0, vkey: vkey, newest: newest, connection) }
        var export = TileExport(client: try socket.connectHTTP(), target: target, older: older, newest: newest)
        try export.run()
        report(export, older: older, newest: newest)
    }

    /// The checkpoint of the directory: signed by this ledger, and not newer than it.
    private func check(
        _ note: String,
        vkey: String,
        newest: PublishedCheckpoint,
        _ connection: Connection
    ) throws -> PublishedCheckpoint {
        var vkeys = [vkey]
        // One of an earlier incarnation is signed by the key of that.
        if let size = try? Checkpoint(parsing: SignedNote(parsing: Array(note.utf8)).text).size,
            size <= newest.checkpoint.size
        {
            let size = JSONValue.int(Int64(clamping: size))
            vkeys.append(try connection.call("GetCheckpoint", ["size": size]).text("vkey"))
        }
        let older: PublishedCheckpoint
        do {
            older = try PublishedCheckpoint(note: note, vkeys: vkeys)
        } catch let error as NoteError {
            throw Failure(.refused, "\(directory) holds the tree of another ledger: \(error)")
        }
        guard older.checkpoint.size <= newest.checkpoint.size else {
            throw Failure(
                .refused,
                "\(directory) holds a tree of \(older.checkpoint.size) entries; the ledger has \(newest.checkpoint.size)"
            )
        }
        return older
    }

    private func report(_ export: TileExport, older: PublishedCheckpoint?, newest: PublishedCheckpoint) {
        let (from, size) = (older?.checkpoint.size ?? 0, newest.checkpoint.size)
        if output.json {
            Terminal.print(
                json: .members([
                    "directory": .string(directory.description), "from": .int(Int64(from)),
                    "origin": .string(newest.checkpoint.origin), "removed": .int(Int64(export.removed)),
                    "root": .string(newest.checkpoint.root.base64), "size": .int(Int64(size)),
                    "written": .int(Int64(export.written)),
                ])
            )
        } else {
            let change = from == size ? "\(size) entries, as before" : "from \(from) to \(size) entries"
            print(
                "\(Terminal.printable(directory.description)): \(change); \(export.written) files written, \(export.removed) removed"
            )
            print("root \(newest.checkpoint.root.base64)")
        }
    }
}

/// A signed checkpoint that was verified.
struct PublishedCheckpoint {
    let note: String
    let checkpoint: Checkpoint

    /// - Throws: `NoteError` where none of the keys signed it, or it is of more entries than a ledger can have.
    init(note: String, vkeys: [String]) throws {
        let signed = try SignedNote(parsing: Array(note.utf8))
        let verifiers = try vkeys.map { try CheckpointVerifier(vkey: $0) }
        try signed.verify(verifiers)
        let checkpoint = try Checkpoint(parsing: signed.text)
        try checkpoint.requireLedgerSize()
        guard verifiers.contains(where: { $0.name.utf8.elementsEqual(checkpoint.origin.utf8) }) else {
            throw NoteError(.malformedCheckpoint, "its origin is not that of a key")
        }
        self.note = note
        self.checkpoint = checkpoint
    }
}
