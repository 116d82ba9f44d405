public import ArgumentParser
import JSON
import Ledger
public import LedgerFormat
import OpenSSL
import Paths

extension Recovery.Reason: ExpressibleByArgument {}

/// `evidence recover`
struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Begin a new incarnation of a ledger.",
        discussion: """
            When a backup was restored, store or lock were copied, or lock or key were lost, the ledger can't go on under its name: somebody may \
            hold a signed checkpoint that its store contradicts. This command ends the incarnation and begins the \
            next one, with a new origin (…/incarnation/N) and a new checkpoint key, and records system.recovered. \
            Everything recorded before stays and stays provable. Run it as the daemon's user, while the daemon \
            doesn't run, and only when the daemon refuses to start and says so. Then hand the new verification key to \
            whoever checks proofs.

            Everything that is signed is derived from the entries first, which takes as long as an audit, and \
            compared with the old lock and every checkpoint the store keeps. A store that is damaged, or is another \
            history than the one that was signed, is refused.

            Where the old lock can't be read, nothing beside the store shows how much was signed, and who has the keyring \
            can make a shorter or another history fit. So give a checkpoint that somebody else keeps with --checkpoint: \
            a signed note (as GET /checkpoint gives it) or a receipt (.tlog-proof), the newest there is. The store must \
            contain it. Only where there is none anywhere, say --without-checkpoint; the audit says of such a recovery \
            that it does not show how much was signed before.

            The old key signs that the new one follows it, so that whoever has the old one can follow. A keyring \
            without the key in force is refused, unless the reason is key-lost: then nothing shows any more that the \
            ledger goes on under the same hand, and who checks proofs needs the new key by a way of its own.

            The old keyring stays beside the new one as KEYRING.incarnation-N, or as KEYRING.interrupted where an \
            earlier recovery was cut short. With key-lost a keyring that can't open what was sealed is taken as it \
            is, and without any a fresh one is made: what was sealed under the lost one is erased. \
            The key tree that is made then has the suite of the one there was, or what --suite says (see evidence init).

            Interrupted or refused, it can be run again: the next keyring waits as KEYRING.new. The look-up index is \
            made anew when the daemon starts.

            EXAMPLES
              sudo -u evidenced evidence recover --reason backup-restored
              evidence recover --config ./evidenced.conf --reason lock-lost --checkpoint auditor.checkpoint

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("What happened.", valueName: "code"))
    var reason: Recovery.Reason

    @Option(
        help: ArgumentHelp(
            "A checkpoint or receipt of this ledger that is kept elsewhere; may be given more than once.",
            valueName: "file"
        )
    )
    var checkpoint: [String] = []

    @Flag(help: "The lock is lost, and nobody keeps a checkpoint or receipt of this ledger.")
    var withoutCheckpoint = false

    @Flag(help: "The clock is right, though it is long after the newest entry and nothing synchronises it.")
    var confirmClock = false

    @Option(
        help: ArgumentHelp(
            "What is encrypted with from now on, where keys were lost.",
            discussion: "Default: what it was before.",
            valueName: "suite"
        )
    )
    var suite: CipherSuite?

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    /// Each step leaves what the next run can go on from:
    /// 1. The next keyring is written beside the old one. A crash within it may leave a malformed file, which the next
    ///    run refuses by name and which may be removed; after it, the next run finds the keyring and uses it.
    /// 2. `system.recovered` is committed under its key, then the new lock takes the old one's place, by one rename. A
    ///    crash in between leaves a store that already names the key, and the next run writes the lock.
    /// 3. The next keyring takes the old one's place, by one rename.
    func run() throws {
        let (locations, path) = try local.resolve()
        // Two at once would take each other's next keyring.
        try LedgerCreation.holding(keyring: path) { try recover(locations, keyring: path) }
    }

    private func recover(_ locations: LedgerLocations, keyring path: String) throws {
        let held = try heldCheckpoints()
        let old = try reason.isSigned ? Keyring.load(path: path) : nil
        let next = try nextKeyring(path)
        let begun: (ended: Int64, incarnation: Int64, vkey: String)
        do {
            var bar = ProgressBar("checking")
            defer { bar.clear() }
            begun = try LedgerCreation.beginIncarnation(
                at: locations,
                old: old,
                keyring: next,
                reason: reason,
                suite: suite,
                held: held,
                isClockConfirmed: confirmClock
            ) { done, total in bar.update(done: done, total: total) }
        } catch let refusal as StartupRefusal {
            // What was staged was made of a keyring that is not this ledger's.
            if [.badKeyring, .notInForce].contains(refusal.code) { try Keyring.discardStaged(path: path) }
            // Only a staged key can be the store's already: a fresh one never is.
            guard refusal.code == .keyMismatch else { throw refusal }
            try Keyring.adoptStaged(path: path, suffix: "interrupted")
            throw Failure(
                .refused,
                "an interrupted recovery was completed and its key is in place: start the daemon, "
                    + "and run this again only if it refuses"
            )
        }
        try Keyring.adoptStaged(path: path, suffix: "incarnation-\(begun.ended)")
        if output.json {
            Terminal.print(json: .members(["incarnation": .int(begun.incarnation), "vkey": .string(begun.vkey)]))
        } else {
            print(begun.vkey)
            Terminal.remark("incarnation \(begun.incarnation) began; hand out its verification key, printed above")
        }
    }

    func validate() throws {
        guard checkpoint.isEmpty || !withoutCheckpoint else {
            throw ValidationError("--checkpoint and --without-checkpoint contradict each other")
        }
        guard suite == nil || reason == .keyLost else {
            throw ValidationError(
                "--suite is for the reason key-lost: a ledger keeps its suite for as long as its keys"
            )
        }
    }

    private func heldCheckpoints() throws -> HeldCheckpoints {
        if withoutCheckpoint { return .none }
        if checkpoint.isEmpty { return .unstated }
        return .given(try checkpoint.map(RecoverCommand.note))
    }

    /// The signed note in a file that holds it alone, or at the end of a receipt.
    private static func note(file: String) throws -> SignedNote {
        let path = FilePath(file)
        let bytes = try LocalFile.read(path)
        do {
            if let text = String(validating: bytes, as: UTF8.self), let proof = try? TlogProof(parsing: text) {
                return try SignedNote(parsing: Array(proof.note.utf8))
            }
            return try SignedNote(parsing: bytes)
        } catch {
            throw Failure(.dataMismatch, "\(path): holds neither a checkpoint nor a receipt: \(error)")
        }
    }

    private func nextKeyring(_ path: String) throws -> Keyring {
        if let staged = try Keyring.staged(path: path) { return staged }
        let next: Keyring
        if reason == .keyLost, !LocalFile.exists(FilePath(path)) {
            next = try Keyring()
        } else {
            next = try Keyring.load(path: path).withFreshCheckpointKey()
        }
        try next.stage(path: path)
        return next
    }
}
