import ArgumentParser
import JSON
import Paths

/// `evidence backup`
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Have the daemon write a copy of the store.",
        discussion: """
            The daemon writes a consistent copy of the store into a directory that is empty or doesn't exist yet, \
            below its configured backup-root, while it goes on recording. The keyring is not in it: keep its copy \
            elsewhere. The checkpoint lock isn't either, on purpose: a restored backup can't sign another history \
            under the same name; evidence recover begins a new incarnation.

            EXAMPLE
              evidence backup /var/backups/evidenced/2026-01-31

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The directory.", valueName: "dir"), completion: .directory)
    var directory: FilePath

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let absolute = try LocalFile.absolute(directory)
        guard let path = absolute.text else {
            throw Failure(.usage, "\(absolute): the daemon takes paths in UTF-8 only")
        }
        // A store of many gigabytes takes as long as the disk needs.
        let reply = try socket.connect(timeoutSeconds: 0).call("Backup", ["directory": .string(path)])
        if output.json {
            Terminal.print(json: reply)
        } else {
            let (size, bytes) = (try reply.number("size"), try reply.number("bytes"))
            print(
                "\(size) entries, \(bytes) bytes, root \(try reply.text("root")), written to \(Terminal.printable(path))"
            )
        }
    }
}
