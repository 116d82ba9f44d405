import ArgumentParser
import JSON
import LedgerFormat

/// `evidence watch`
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print entries as they are recorded.",
        discussion: """
            Prints a line for each entry from now on, or from --from on, until it is interrupted.

            EXAMPLES
              evidence watch
              evidence watch --from 0 --type contract.signed --json

            \(ExitStatus.help)
            """
    )

    @Option(
        help: ArgumentHelp("Begin at this index instead of with the next entry.", valueName: "index"),
        transform: Arguments.number
    )
    var from: UInt64?

    @Option(help: ArgumentHelp("Only entries of this type.", valueName: "name"), transform: Arguments.text)
    var type: String?

    @Option(help: ArgumentHelp("Only entries of this stream.", valueName: "kind/id"), transform: Arguments.text)
    var stream: String?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        // A quiet ledger may stay so for long.
        let connection = try socket.connect(timeoutSeconds: 0)
        try connection.stream(
            "Watch",
            [
                "from": from.map { .int(Int64(clamping: $0)) }, "type": type.map { .string($0) },
                "stream": stream.map { .string($0) },
            ]
        ) { reply in
            for value in try reply.list("entries") {
                let entry = try RecordedEntry(value)
                if output.json {
                    Terminal.print(json: entry.json)
                } else {
                    print(Terminal.printable(EntryText.row(entry).joined(separator: "  ")))
                }
            }
            // A pipe would hold lines back until a block is full.
            try StandardOutput.flush()
            return true
        }
    }
}
