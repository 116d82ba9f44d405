import ArgumentParser
import Bundle
import JSON
import Paths

/// `evidence verify`
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a proof or a bundle, without the daemon.",
        discussion: """
            Given a bundle (the ZIP archive evidence bundle made, any other ZIP archive of its files, or the folder it \
            was unpacked to), checks everything in it: digests, records, proofs, signature, disclosed values, originals, \
            older checkpoints. Says of each check whether it passed and on which file it failed; exits with 1 if one \
            failed. What is no matter of the verdict is a note: an archive that was packed again, a record that cites \
            another of the wrong type or person, cited records that are not there, a clock that was not synchronised. Without --key everything is checked but whose ledger it \
            is; that is a verdict of its own, and exits with 2. So does a key that was lost, as the ledger says, and \
            did not sign the one after it. It is the key of the ledger's operator, not of who signed a contract. \
            Trouble of this computer, such as a file it can't read, is no verdict, and exits with 71.

            Given a proof, checks that an entry is what the ledger signed: its hash, its path to the root, and the checkpoint's \
            signature under a key you trust. With --opening it also checks disclosed claims against their \
            commitments in the entry, and with --document that a file is the one whose digest was disclosed. Says \
            of each check whether it passed; exits with 1 if one failed. Needs no network and no daemon. Where all hold \
            it says KEYS MATCH, as of a bundle: that the key given signed, and not where it came from.

            The key is a verification key NAME+ID+KEY as evidence init and evidence keys print it, a public key in \
            PEM, or the SHA-256 fingerprint of one; or a file that holds one of them. Any key the ledger has had will \
            do. Take it from somewhere you trust, not from whoever hands you the proof.

            The same by other tools: the leaf hash is SHA-256 of a zero byte and the entry; each inner node is \
            SHA-256 of a byte 1, the left and the right hash; the signature is Ed25519 over the checkpoint's text, \
            which openssl pkeyutl -verify -rawin checks with the key evidence keys --pem prints.

            EXAMPLES
              evidence verify case.zip --key ledger.vkey
              evidence verify case.zip --key ledger.vkey --chinese
              evidence verify case/ --key ledger.vkey
              curl -s https://example.com/case.zip | evidence verify - --key ledger.vkey
              evidence verify a.tlog-proof --entry a.entry.json --key ledger.vkey
              evidence verify a.tlog-proof --entry a.entry.json --key ledger.vkey \\
                --opening openings.json --document contract.pdf

            \(ExitStatus.help)
            """
    )

    @Argument(
        help: ArgumentHelp(
            "A bundle, packed or unpacked, or a proof (a C2SP tlog-proof); - for standard input.",
            valueName: "file"
        ),
        completion: .file()
    )
    var proof: FilePath

    @Option(
        help: ArgumentHelp("The entry's exact bytes. Needed for a proof.", valueName: "file"),
        completion: .file()
    )
    var entry: FilePath?

    @Option(
        help: ArgumentHelp(
            "The ledger operator's key, or a file that holds it. Needed for a proof.",
            valueName: "vkey"
        )
    )
    var key: FilePath?

    @Option(
        name: .customLong("opening"),
        help: ArgumentHelp("Disclosed claims, as evidence show --open --json prints them.", valueName: "file"),
        completion: .file()
    )
    var openings: [FilePath] = []

    @Option(help: ArgumentHelp("A document whose digest an opening discloses.", valueName: "file"), completion: .file())
    var document: FilePath?

    @Flag(help: "Print the checks in Chinese (中文).")
    var chinese = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if entry != nil, key == nil { throw ValidationError("--entry needs --key.") }
        if document != nil, openings.isEmpty { throw ValidationError("--document needs --opening.") }
    }

    func run() throws {
        let material = try Material(proof)
        guard try !material.isBundle() else {
            guard entry == nil, openings.isEmpty, document == nil else {
                throw Failure(.usage, "--entry, --opening and --document don't go with a bundle")
            }
            let trusted = try key.map(KeyArgument.read)
            return try BundleVerification.run(material, key: trusted, chinese: chinese, json: output.json)
        }
        guard let entry, let key else { throw Failure(.usage, "a proof needs --entry and --key") }
        let entryBytes = try LocalFile.read(entry)
        let trusted = try KeyArgument.read(key)
        if case .fingerprint = trusted { throw Failure(.usage, "a proof needs the key itself, not its fingerprint") }
        var verification = Verification(entryBytes: entryBytes, proofBytes: try material.content(), key: trusted)
        verification.checkEntry()
        verification.checkProof()
        for path in openings { verification.checkOpenings(try LocalFile.read(path), name: path.description) }
        if let document { try verification.checkDocument(document) }
        if output.json {
            Terminal.print(json: verification.json)
        } else {
            verification.print(chinese: chinese)
        }
        if !verification.hasPassed { throw ExitCode(ExitStatus.refused.rawValue) }
    }
}
