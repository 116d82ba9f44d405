import ArgumentParser
import JSON

/// `evidence show`
struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one entry.",
        discussion: """
            Prints an entry of the ledger. What may identify a person is not in it but sealed beside it; --open \
            discloses those claims, if your role allows it, and names each with the salt that proves it. An opening \
            reveals the one value it is of and nothing else.

            --raw prints the exact bytes that were hashed and nothing else, not even a line end: the leaf hash is \
            SHA-256 of a zero byte and these bytes.

            EXAMPLES
              evidence show 42
              evidence show 42 --open file_name,sha256
              evidence show 42 --open all --json > openings.json
              (printf '\\0'; evidence show 42 --raw) | sha256sum

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The entry's index.", valueName: "index"), transform: Arguments.number)
    var index: UInt64

    @Option(
        help: ArgumentHelp("Disclose these claims: names with commas between, or all.", valueName: "names"),
        transform: Arguments.text
    )
    var open: String?

    @Flag(help: "Print the entry's exact bytes.")
    var raw = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if raw, open != nil || output.json { throw ValidationError("--raw goes with neither --open nor --json.") }
    }

    func run() throws {
        let connection = try socket.connect()
        if let open {
            let names: JSONValue? =
                open.utf8.elementsEqual("all".utf8) ? nil : .array(Arguments.names(open).map { .string($0) })
            let reply = try connection.call("Open", ["index": .int(Int64(clamping: index)), "names": names])
            if output.json {
                Terminal.print(json: .members(["openings": .array(try reply.list("openings"))]))
                return
            }
            EntryText.print(try connection.entry(Int64(clamping: index)))
            var table = Table()
            for opening in try reply.list("openings") {
                table.add([try opening.text("name"), EntryText.plain(try opening.member("value"))])
            }
            print("\nopened claims")
            table.print()
        } else {
            let entry = try connection.entry(Int64(clamping: index))
            if raw {
                print(entry.text, terminator: "")
            } else if output.json {
                Terminal.print(json: entry.json)
            } else {
                EntryText.print(entry)
            }
        }
    }
}
