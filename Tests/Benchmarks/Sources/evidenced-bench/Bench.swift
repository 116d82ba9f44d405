import ArgumentParser
import Glibc
import JSON
import Varlink

/// Measures a daemon of the release build through its socket, beside raw baselines of the same disk and run.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evidenced-bench",
        abstract: "Measure the daemon against raw baselines of the same run.",
        discussion: """
            Builds ledgers of the sizes given in a directory of its own, removed at the end, and prints for each \
            measurement the figure, the raw baseline, their ratio and the target. Nothing is asserted.
            """
    )

    @Option(help: "Directory of the release binaries evidenced and evidence.")
    var binaries = ".build/release"

    @Option(help: "Directory to work in; must be on the disk that is to be measured.")
    var directory = "/var/tmp/evidenced-bench"

    @Option(help: "Ledger sizes, in entries.")
    var sizes: [Int] = [10_000, 1_000_000]

    @Option(help: "Seconds per measurement.")
    var seconds = 5.0

    @Flag(help: "Print JSON lines instead of a table.")
    var json = false

    func run() throws {
        removeTree(directory)
        mkdir(directory, 0o700)
        defer { removeTree(directory) }
        var table = Table(json: json)
        for size in sizes {
            let folder = "\(directory)/\(size)"
            mkdir(folder, 0o700)
            let daemon = try Daemon(binaries: binaries, directory: folder + "/ledger")
            try daemon.start()
            let scenario = Scenario(daemon: daemon, size: size, seconds: seconds)
            try scenario.fill()
            var raw = try RawBaseline(
                directory: folder + "/raw",
                valueBytes: scenario.entryBytes(),
                entries: UInt64(size)
            )
            try scenario.run(&raw, &table)
            daemon.stop()
            removeTree(folder)
        }
        table.end()
    }
}

func removeTree(_ path: String) {
    guard let directory = opendir(path) else {
        unlink(path)
        return
    }
    var names: [String] = []
    while let item = readdir(directory) {
        let name = withUnsafeBytes(of: item.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { names.append(name) }
    }
    closedir(directory)
    for name in names { removeTree(path + "/" + name) }
    rmdir(path)
}
