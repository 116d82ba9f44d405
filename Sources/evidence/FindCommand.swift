import ArgumentParser
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// `evidence find`
struct FindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Say whether, when and where a document was recorded.",
        discussion: """
            Takes the digest of a file, or one you give, and lists the entries that record it. Exits with 1 where \
            there is none. A document whose claims were erased is not found any more.

            EXAMPLES
              evidence find contract.pdf
              evidence find --digest $(sha256sum < contract.pdf | cut -d' ' -f1)

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The document.", valueName: "file"), completion: .file())
    var file: FilePath?

    @Option(
        help: ArgumentHelp("Its SHA-256 or SM3, 64 lower-case hex digits.", valueName: "hex"),
        transform: Arguments.text
    )
    var digest: String?

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (file == nil) != (digest == nil) else { throw ValidationError("Give either a file or --digest.") }
        if let digest, Digest(hex: digest) == nil {
            throw ValidationError("--digest must be 64 lower-case hex digits.")
        }
    }

    func run() throws {
        var digests = digest.map { [$0] } ?? []
        if let file {
            let total = try LocalFile.size(file)
            var bar = ProgressBar("hashing")
            let taken = try FileDigests(path: file, withSM3: RunningDigest.hasSM3) {
                bar.update(done: UInt64(clamping: $0), total: total)
            }
            bar.clear()
            digests = [taken.sha256.hex] + (taken.sm3.map { [$0.hex] } ?? [])
            // Who records an SM3 must record the SHA-256 with it.
            if taken.sm3 == nil {
                Terminal.complain(
                    "\(MissingAlgorithm.sm3): looking for the SHA-256 alone, which each entry with an SM3 has too"
                )
            }
        }
        let connection = try socket.connect()
        var entries: [RecordedEntry] = []
        var seen: Set<UInt64> = []
        for digest in digests {
            for entry in try connection.entries(recording: digest) {
                // An entry that records both digests comes up twice.
                if seen.insert(entry.entry.index).inserted { entries.append(entry) }
            }
        }
        entries.sort { $0.entry.index < $1.entry.index }
        let what = file.map { Terminal.printable($0.description) } ?? "the digest"
        if output.json {
            for entry in entries { Terminal.print(json: entry.json) }
        } else if entries.isEmpty {
            print("\(what) is not recorded in this ledger")
        } else {
            for entry in entries.map(\.entry) {
                let meaning = EventCatalogue.type(named: entry.type)?.summary ?? entry.type
                print("\(what) is recorded at index \(entry.index), \(entry.time): \(entry.type), \(meaning)")
            }
        }
        if entries.isEmpty { throw ExitCode(ExitStatus.refused.rawValue) }
    }
}
