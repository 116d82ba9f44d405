import ArgumentParser
import Bundle
import JSON
import Merkle
import OpenSSL

/// `evidence instructions`
struct InstructionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instructions",
        abstract: "Print how to check a bundle with common tools: VERIFY.txt, or its SHA-256.",
        discussion: """
            Bundles hold these instructions as VERIFY.txt. Whoever could change a bundle could change them, and so what \
            they run: take them from here, or compare the copy in the bundle by its SHA-256. Those of one version are \
            the same for every bundle. Needs no daemon.

            EXAMPLES
              evidence instructions > VERIFY.txt
              evidence instructions --sha256
              cd case && evidence instructions | sed -n 's/^    //p' | LEDGER_KEY="$(cat ../ledger.vkey)" sh

            \(ExitStatus.help)
            """
    )

    @Flag(name: .customLong("sha256"), help: "Print the SHA-256 of the text instead.")
    var digest = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let text = String(decoding: Instructions.text, as: UTF8.self)
        let sha256 = SHA256Hasher().hash(Instructions.text).hex
        if output.json {
            Terminal.print(
                json: .members([
                    "producer": .string(Producer.name), "sha256": .string(sha256), "text": .string(text),
                ])
            )
        } else if digest {
            print(sha256)
        } else {
            print(text, terminator: "")
        }
    }
}
