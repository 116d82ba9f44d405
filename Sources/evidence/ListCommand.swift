import ArgumentParser
import JSON
import LedgerFormat

/// A moment on the command line: a full time, one to the second, or a day.
struct Moment: ExpressibleByArgument {
    let text: String

    init?(argument: String) {
        let seconds = String(decoding: argument.utf8.dropLast(), as: UTF8.self)
        let full = argument.utf8.last == UInt8(ascii: "Z") ? seconds + ".000000Z" : argument
        let candidates = [argument, full, argument + "T00:00:00.000000Z"]
        guard let time = candidates.lazy.compactMap({ LedgerTime($0) }).first else { return nil }
        text = time.description
    }
}

/// `evidence list`
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List entries.",
        discussion: """
            Lists entries in the order of the ledger, newest first with --reverse, narrowed by stream, type, submitter \
            and time. Times are UTC: 2026-01-31, 2026-01-31T12:00:00Z or with six fraction digits; --since is within, \
            --until is not. Streams stand as KIND/ID#NUMBER; numbers count without a gap from 0, so that a missing \
            event shows.

            EXAMPLES
              evidence list --reverse --limit 20
              evidence list --stream subject/0190b4c1d2e3f4a5b6c7d8e9f0a1b2c3 --all
              evidence list --type consent.withdrawn --since 2026-01-01 --json

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("Only entries of this stream.", valueName: "kind/id"), transform: Arguments.text)
    var stream: String?

    @Option(help: ArgumentHelp("Only entries of this type.", valueName: "name"), transform: Arguments.text)
    var type: String?

    @Option(help: ArgumentHelp("Only what this principal submitted.", valueName: "name"), transform: Arguments.text)
    var submitter: String?

    @Option(help: ArgumentHelp("Only entries from this time on.", valueName: "time"))
    var since: Moment?

    @Option(help: ArgumentHelp("Only entries before this time.", valueName: "time"))
    var until: Moment?

    @Option(help: ArgumentHelp("Begin at this index.", valueName: "index"), transform: Arguments.number)
    var from: UInt64?

    @Option(help: ArgumentHelp("At most so many entries.", valueName: "count"))
    var limit = 100

    @Flag(help: "Newest first.")
    var reverse = false

    @Flag(help: "All entries, without a limit.")
    var all = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit must be at least 1.") }
        if let stream, StreamID(stream) == nil {
            throw ValidationError("--stream must be kind/ID with 32 lower-case hex digits.")
        }
    }

    func run() throws {
        let connection = try socket.connect()
        var left = all ? Int.max : limit
        var isFirst = true
        var next: Int64?
        try connection.stream(
            "ListEntries",
            [
                "stream": stream.map { .string($0) }, "type": type.map { .string($0) },
                "submitter": submitter.map { .string($0) }, "since": since.map { .string($0.text) },
                "until": until.map { .string($0.text) }, "from": from.map { .int(Int64(clamping: $0)) },
                "limit": .int(Int64(min(left, 1_000))), "reverse": .bool(reverse),
            ]
        ) { page in
            let entries = try page.list("entries").prefix(left).map { try RecordedEntry($0) }
            left -= entries.count
            next = page["next"]?.int
            show(entries, header: isFirst)
            isFirst = false
            try StandardOutput.flush()
            return left > 0
        }
        if left == 0, let next { Terminal.remark("there may be more: go on with --from \(next), or list --all") }
    }

    private func show(_ entries: [RecordedEntry], header: Bool) {
        guard !output.json else {
            for entry in entries { Terminal.print(json: entry.json) }
            return
        }
        guard !entries.isEmpty else { return }
        var table = Table(header: header ? EntryText.header : nil, numeric: [0])
        for entry in entries { table.add(EntryText.row(entry)) }
        table.print()
    }
}
