import ArgumentParser
import JSON

/// `evidence confirm-clock`
struct ConfirmClockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm-clock",
        abstract: "Say that the clock is right after all.",
        discussion: """
            When the clock makes a large step forward, or is far after the newest entry at the start, the daemon \
            refuses events: a wrong time, once recorded, stays, and no later entry can have an earlier one. It goes on \
            by itself when the kernel says that the clock is synchronised, or when the time has gone on evenly for a \
            while (clock-confirm-after). This command has it go on at once. Compare the clock with another one first; \
            evidence status says what it did. What is recorded says that an operator vouched for it.

            EXAMPLES
              date --utc
              evidence confirm-clock

            \(ExitStatus.help)
            """
    )

    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let reply = try socket.connect().call("ConfirmClock")
        let wasHeld = reply["held"]?.bool == true
        if output.json {
            Terminal.print(json: reply)
        } else {
            print(wasHeld ? "the clock is confirmed" : "the clock needs no confirmation")
        }
    }
}
