import ArgumentParser
import Glibc

/// Measures a daemon of the release build through its socket, beside raw baselines of the same disk and run.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evidenced-bench",
        abstract: "Measure the daemon against raw baselines of the same run.",
        discussion: """
            Builds ledgers of the sizes given in a directory of its own, removed at the end, and prints the figures of \
            all sizes side by side, with the ratio to the raw baseline of the same run and the target. Nothing is \
            asserted.

            Disk, audit, start and proofs are measured on the ledger as filled; then one submitter, 64 calls in \
            flight and batches, which add to it. The first second of each load is not counted.
            """
    )

    @Option(help: ArgumentHelp("Directory of the release binaries evidenced and evidence.", valueName: "directory"))
    var binaries = ".build/release"

    @Option(
        help: ArgumentHelp(
            "Where to make the directory to work in; must be on the disk that is to be measured.",
            valueName: "directory"
        )
    )
    var directory = "/var/tmp"

    @Option(parsing: .upToNextOption, help: "Ledger sizes, in entries.")
    var sizes: [Int] = [10_000, 1_000_000]

    @Flag(help: "A ledger of 10 million entries too; takes some 25 GB of disk.")
    var long = false

    @Option(help: "Seconds per measurement, without its first second.")
    var seconds = 5.0

    @Option(parsing: .upToNextOption, help: "Measure only these parts: rest, proofs, single, batches, documents.")
    var only: [Scenario.Part] = Scenario.Part.allCases

    @Option(help: "Most values the raw baseline is filled with.")
    var rawLimit = 10_000_000

    @Flag(help: "Print JSON lines as figures come, instead of tables.")
    var json = false

    @Flag(help: "Print the tables as Markdown.")
    var markdown = false

    @Flag(name: .shortAndLong, help: "Say on standard error what is going on, also where that is no terminal.")
    var verbose = false

    private static let longSize = 10_000_000

    func validate() throws {
        guard !sizes.isEmpty, sizes.allSatisfy({ $0 >= 0 }) else { throw ValidationError("sizes must not be negative") }
        guard seconds > 0 else { throw ValidationError("--seconds must be positive") }
        guard rawLimit >= 0 else { throw ValidationError("--raw-limit must not be negative") }
        guard !(json && markdown) else { throw ValidationError("--json and --markdown exclude each other") }
    }

    func run() throws {
        let sizes = Array(Set(sizes + (long ? [Bench.longSize] : []))).sorted()
        let report = Report(
            sizes: sizes,
            form: json ? .jsonLines : markdown ? .markdown : .table,
            isTalking: verbose || isatty(STDERR_FILENO) == 1
        )
        report.note("Events are of \(AppendMessages.eventBytes) bytes with two claims each.")
        let workspace = try Workspace(in: directory)
        defer { workspace.remove() }
        for size in sizes {
            let folder = "\(workspace.path)/\(size)"
            mkdir(folder, 0o700)
            let daemon = try Daemon(binaries: binaries, directory: folder)
            try Scenario(daemon: daemon, size: size, window: Window(seconds: seconds), report: report, parts: only)
                .run(rawDirectory: folder + "/raw", rawLimit: rawLimit)
            Workspace.remove(folder)
        }
        report.end()
    }
}
