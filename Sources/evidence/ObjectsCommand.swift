import ArgumentParser
import JSON

/// `evidence objects`
struct ObjectsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "objects",
        abstract: "Look after documents in custody.",
        subcommands: [ObjectsCheckCommand.self]
    )
}

/// `evidence objects check`
struct ObjectsCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare documents in custody with what was recorded of them.",
        discussion: """
            Has the daemon read the file of every document in custody, or of about one in so many, and compare its SHA-256 \
            with the one its evidence.sealed states. That needs no key, and opens nothing. What was found is recorded as \
            system.selfcheck. It needs the role auditor or operator.

            EXAMPLES
              evidence objects check
              evidence objects check --sample 100

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("Read about one document in so many.", valueName: "number"))
    var sample: Int64 = 1

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard 1...1_000_000_000 ~= sample else { throw ValidationError("--sample must be from 1 to 1000000000.") }
    }

    func run() throws {
        let connection = try socket.connect(timeoutSeconds: 0)
        var bar = ProgressBar("checking")
        defer { bar.clear() }
        var last: JSONValue?
        try connection.stream("CheckObjects", ["sample": .int(sample)]) { reply in
            last = reply
            bar.update(
                done: UInt64(clamping: try reply.number("at")),
                total: UInt64(clamping: try reply.number("of"))
            )
            return true
        }
        bar.clear()
        guard let report = last, report["selfcheck"] != nil else {
            throw Failure(.unreachable, "the daemon ended before the check did")
        }
        let unsound = try report.list("unsound").compactMap(\.string)
        let left = try report.list("erasedLeft").compactMap(\.string)
        if output.json {
            Terminal.print(json: report)
        } else {
            print("\(try report.number("checked")) documents read, recorded as entry \(try report.number("selfcheck"))")
            for object in unsound { print("object \(object): its file is missing, or not what was recorded") }
            for object in left { print("object \(object): was erased, and a file of it is there all the same") }
        }
        guard unsound.isEmpty, left.isEmpty else {
            throw Failure(.refused, "\(unsound.count + left.count) documents are not as they should be")
        }
    }
}
