import ArgumentParser
import Glibc
import JSON
import Ledger
import OpenSSL
import Paths

/// `evidence init`
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a ledger.",
        discussion: """
            Creates the store and the checkpoint lock, and the keyring where there is none, and records the first \
            entry. Prints the verification key: hand it to everybody who is to check proofs. What exists is never \
            overwritten. Run it as the user the daemon runs as, before the daemon starts for the first time.

            The origin names the ledger for ever; it stands in every checkpoint. Take a name you own, such as \
            example.com/ledger.

            The suite is what keys and claims are encrypted with, and stays: aes is AES-256-GCM with HMAC-SHA-256, sm4 is \
            SM4 with HMAC-SM3 (GB/T 32907, GB/T 32905), for those whose regulator asks for Chinese algorithms (国密). It \
            does not change what anybody checks: entries and tree are hashed with SHA-256, and checkpoints signed with \
            Ed25519, in both. sm4 needs an OpenSSL that has SM4 and SM3, wherever the ledger is opened.

            Where it fails or is interrupted, nothing is left behind. Cut off by a kill or a power cut, it can be run \
            again with the same origin and suite: it begins anew, or, where the first checkpoint is signed already, goes on.

            EXAMPLES
              sudo -u evidenced evidence init --origin example.com/ledger
              evidence init --config ./evidenced.conf --origin demo.example/ledger > ledger.vkey
              sudo -u evidenced evidence init --origin example.cn/ledger --suite sm4

            \(ExitStatus.help)
            """
    )

    @Option(help: ArgumentHelp("The ledger's name in its checkpoints.", valueName: "name"), transform: Arguments.text)
    var origin: String

    @Option(help: ArgumentHelp("What keys and claims are encrypted with.", valueName: "suite"))
    var suite: CipherSuite = .aes

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, path) = try local.resolve()
        // It takes a moment. Who interrupts it gets all of it taken back before the process ends, or all of it made.
        let signals = HeldSignals()
        let (vkey, isNew): (String, Bool)
        do {
            (vkey, isNew) = try LedgerCreation.create(
                at: locations,
                origin: origin,
                suite: suite,
                keyring: path,
                isInterrupted: { signals.arePending }
            )
        } catch {
            signals.release()
            throw error
        }
        signals.dismiss()
        if isNew { Terminal.remark("created the keyring \(path); keep a copy of it in a safe place") }
        if output.json {
            Terminal.print(json: .members(["origin": .string(origin), "vkey": .string(vkey)]))
        } else {
            print(vkey)
        }
    }
}

/// The signals by which a user ends a command, kept waiting while something is made that must be whole or not at all.
private struct HeldSignals {
    private static let numbers = [SIGINT, SIGTERM, SIGHUP]
    private var before = sigset_t()

    init() {
        var held = sigset_t()
        sigemptyset(&held)
        for number in HeldSignals.numbers { sigaddset(&held, number) }
        pthread_sigmask(SIG_BLOCK, &held, &before)
    }

    /// Whether one of them came meanwhile.
    var arePending: Bool {
        var pending = sigset_t()
        sigpending(&pending)
        return HeldSignals.numbers.contains { sigismember(&pending, $0) == 1 }
    }

    /// Ignores them from now on, and those that came: too late, for what was to be made is made.
    func dismiss() {
        for number in HeldSignals.numbers { signal(number, SIG_IGN) }
        release()
    }

    /// Lets them do what they do; those that came end the process now.
    func release() {
        var before = before
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
}
