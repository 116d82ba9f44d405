import Foundation
import Testing

/// Section 13 of `ledger-format.md`, its commands run in a directory of their own.
final class WorkedExample {
    struct Step {
        let commands: String
        let printed: String
    }

    let steps: [Step]
    let directory: URL

    init() throws {
        steps = try WorkedExample.steps(in: try FormatDocument().section("## 13. Worked example"))
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("evidenced-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    /// Runs every step in order.
    func run() throws -> [ShellCommand] {
        try steps.map { try ShellCommand($0.commands, in: directory) }
    }

    /// The bytes of a file the commands wrote.
    func file(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: directory.appendingPathComponent(name)))
    }

    func text(_ name: String) throws -> String { String(decoding: try file(name), as: UTF8.self) }

    /// Pairs each `sh` block with the `text` block that follows it.
    private static func steps(in lines: [String]) throws -> [Step] {
        var steps: [Step] = []
        var commands: String?
        var rest = lines[...]
        while let opening = rest.popFirst() {
            guard opening.hasPrefix("```") else { continue }
            let block = rest.prefix { $0 != "```" }.map { $0 + "\n" }.joined()
            rest = rest.drop { $0 != "```" }.dropFirst()
            if opening == "```sh" {
                try #require(commands == nil, "two blocks of commands without what the first prints")
                commands = block
            } else {
                try #require(opening == "```text", "a block that is neither commands nor what they print")
                steps.append(Step(commands: try #require(commands), printed: block))
                commands = nil
            }
        }
        try #require(commands == nil && !steps.isEmpty)
        return steps
    }
}
