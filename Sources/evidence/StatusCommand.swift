import ArgumentParser
import JSON

/// `evidence status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say how the ledger stands.",
        discussion: """
            Prints size and root of the newest checkpoint, the state of clock, queue and store, and who you are to \
            the daemon. Exits with 1 where no events are taken at present.

            EXAMPLES
              evidence status
              evidence status --json

            \(ExitStatus.help)
            """
    )

    /// The order of the table; what a newer daemon adds comes after.
    private static let order = [
        "version", "origin", "incarnation", "size", "root", "time", "clock", "clockBehind", "clockHold",
        "acceptsAppends", "queued", "queuedBytes", "indexed", "indexChecked", "storeBytes", "mapBytes",
        "appended", "duplicates", "refused", "repeated", "connections", "principal", "roles",
        "warnings",
    ]

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let reply = try socket.connect().call("Status")
        if output.json {
            Terminal.print(json: reply)
        } else {
            var table = Table()
            let members = reply.object ?? []
            let known = StatusCommand.order.compactMap { name in members.first { $0.name == name } }
            let others = members.filter { !StatusCommand.order.contains($0.name) }
            for member in known + others { table.add([member.name, StatusCommand.text(member.value)]) }
            table.print()
        }
        if reply["acceptsAppends"]?.bool == false { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .bool(let flag): flag ? "yes" : "no"
        case .array(let values): values.map { EntryText.plain($0) }.joined(separator: ", ")
        default: EntryText.plain(value)
        }
    }
}
