import ArgumentParser
import JSON
import Ledger
import Paths

/// `evidence keys rotate`
struct KeysRotateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Give the key tree a new root key, and the keyring a new master key.",
        discussion: """
            Stop the daemon first. What opened the key tree before, the old keyring and every copy of root.key, opens \
            nothing of it any more: make new copies of both, and destroy the old ones. The key that signs checkpoints stays. \
            Cut off at any point, it is run again. Where the service manager holds the keyring as an encrypted \
            credential, give the file it is made of by --keyring, and make the credential anew.

            EXAMPLES
              sudo -u evidenced evidence keys rotate

            \(ExitStatus.help)
            """
    )

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, path) = try local.resolve()
        let epoch = try KeyCare.rotate(at: locations, keyring: path)
        if output.json {
            Terminal.print(json: .members(["epoch": .int(Int64(epoch))]))
        } else {
            print("the key tree is of epoch \(epoch) and under a new master key")
            Terminal.remark(
                "make new copies of \(path) and \(locations.keys), and destroy the old ones: they open nothing here"
            )
        }
    }
}

/// `evidence keys backup`
struct KeysBackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the key tree to a directory.",
        discussion: """
            May be run beside the daemon: the copy opens, or there is none. It opens all that the ledger's claims are \
            sealed under, together with the keyring: keep the two apart, and away from the ledger. What is erased later, it \
            still opens: make a new copy after each erasure and destroy this one. A copy of the store has none of these keys.

            EXAMPLES
              sudo -u evidenced evidence keys backup /mnt/safe/keys-$(date +%F)

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("Where to; must be empty or not exist.", valueName: "dir"), completion: .directory)
    var directory: FilePath

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, _) = try local.resolve()
        let absolute = try LocalFile.absolute(directory)
        guard let path = absolute.text else { throw Failure(.usage, "\(absolute): must be UTF-8") }
        let epoch = try KeyCare.backup(locations.keys, to: path)
        if output.json {
            Terminal.print(json: .members(["epoch": .int(Int64(epoch))]))
        } else {
            print("keys of epoch \(epoch) written to \(Terminal.printable(path))")
            Terminal.remark("destroy it after the next erasure: it opens what is erased then")
        }
    }
}

/// `evidence keys restore`
struct KeysRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Put a copy of the key tree in the place of a lost or damaged one.",
        discussion: """
            Stop the daemon first. The copy must open under the keyring and belong to the store. One from before an erasure \
            is refused, and what it would undo is said; with --older it is taken, the erasures are done again at once, and \
            claims of scopes that came after the copy are lost. What was in its place is kept as DIR.replaced.

            EXAMPLES
              sudo -u evidenced evidence keys restore /mnt/safe/keys-2027-01-01

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("The copy.", valueName: "dir"), completion: .directory)
    var directory: FilePath

    @Flag(help: "Take a copy from before erasures, which are done again, and lose what it lacks.")
    var older = false

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, keyring) = try local.resolve()
        let absolute = try LocalFile.absolute(directory)
        guard let path = absolute.text else { throw Failure(.usage, "\(absolute): must be UTF-8") }
        let restored = try KeyCare.restore(
            from: path,
            at: locations,
            keyring: Keyring.load(path: keyring),
            isOlderTaken: older
        )
        if output.json {
            Terminal.print(
                json: .members([
                    "epoch": .int(Int64(restored.epoch)), "erasedAgain": .int(Int64(restored.erasedAgain)),
                    "lostScopes": .int(Int64(restored.lostScopes)),
                ])
            )
        } else {
            print("the keys are in place, of epoch \(restored.epoch)")
            if restored.erasedAgain > 0 { print("\(restored.erasedAgain) scopes that were erased are erased again") }
            if restored.lostScopes > 0 {
                print("the claims of \(restored.lostScopes) scopes are lost: the copy has no keys of them")
            }
        }
    }
}
