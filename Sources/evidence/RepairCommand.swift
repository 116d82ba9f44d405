import ArgumentParser
import JSON
import Ledger

/// `evidence repair`
struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Make the rows of streams and scopes anew, where they are damaged.",
        discussion: """
            Stop the daemon first. Which entries a stream has follows from the entries; so where an audit, or the daemon by \
            StoreDamaged, tells of damaged rows of streams, they are made anew from the entries. Where the key of a scope \
            lies in the key tree, no entry says; the rows of scopes are put right as far as what is left of them tells it, or \
            what is sealed opens under one of the keys that no scope has.

            All entries, the tree and the kept checkpoints are compared first, as an audit does, and with the lock; where any \
            of them is damaged, nothing is derived from them, and nothing is changed. No entry is written and nothing is \
            signed: the ledger goes on as it was. Cut off, it is run again.

            EXAMPLES
              sudo -u evidenced evidence repair

            \(ExitStatus.help)
            """
    )

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, keyring) = try local.resolve()
        let repaired: StoreRepair.Repaired
        do {
            var bar = ProgressBar("checking")
            defer { bar.clear() }
            repaired = try StoreRepair.run(at: locations, keyring: Keyring.load(path: keyring)) { done, total in
                bar.update(done: done, total: total)
            }
        }
        if output.json {
            Terminal.print(
                json: .members([
                    "streams": .int(Int64(repaired.streams)), "scopes": .int(Int64(repaired.scopes)),
                ])
            )
        } else if repaired.streams == 0, repaired.scopes == 0 {
            print("the rows of streams and scopes are as the entries say: nothing was changed")
        } else {
            print("\(repaired.streams) rows of streams and \(repaired.scopes) of scopes were put right")
            Terminal.remark("run 'evidence audit' to see that nothing else is wrong")
        }
    }
}
