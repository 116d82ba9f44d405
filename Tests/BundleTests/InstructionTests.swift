import Bundle
import Foundation
import Testing

/// The commands of VERIFY.txt, run by sh in an unpacked bundle.
@Suite("The commands of VERIFY.txt")
struct InstructionTests {
    private struct Outcome {
        let lines: [String]
        let status: Int32

        var failed: [String] { lines.filter { $0.hasPrefix("FAILED") } }
    }

    private func run(_ members: [String: [UInt8]], key: String = "", in unpacked: TemporaryDirectory? = nil) throws
        -> Outcome
    {
        let directory = try unpacked ?? TemporaryDirectory()
        if unpacked == nil { try directory.unpack(members) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // As the text says.
        process.arguments = ["-c", "sed -n 's/^    //p' VERIFY.txt | sh"]
        process.currentDirectoryURL = directory.url
        process.environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LEDGER_KEY": key]
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Outcome(lines: text.components(separatedBy: "\n"), status: process.terminationStatus)
    }

    @Test("pass on a good bundle, one line for each thing they check")
    func good() throws {
        let sample = try Sample()
        for (key, status) in [("", 2), (sample.firstKey, 0), (sample.ledger.signer.vkey, 0)] as [(String, Int32)] {
            let outcome = try run(sample.members, key: key)
            #expect(outcome.status == status && outcome.failed.isEmpty, "\(outcome.lines.joined(separator: "\n"))")
            // The list; form of checkpoint and entries; entries, twice each; their chain; two keys, thrice each; the
            // signature; openings; original, twice; older checkpoints, four times each; the manifest, thrice; the page.
            let passed = 3 + 2 * 5 + 1 + 2 * 3 + 1 + 3 + 2 + 2 * 4 + 3 + 1
            #expect(outcome.lines.count { $0.hasPrefix("OK") } == (key.isEmpty ? passed : passed + 1))
        }
    }

    @Test("refuse another key")
    func key() throws {
        let sample = try Sample()
        let stranger = try LedgerKey(name: SyntheticLedger.origin, seed: String(repeating: "33", count: 32)).vkey
        let outcome = try run(sample.members, key: stranger)
        #expect(outcome.status != 0 && outcome.failed == ["FAILED  keys: the key given is none of the ledger's"])
    }

    @Test("catch any byte of any file, and say of which file it is")
    func everyFile() throws {
        let sample = try Sample()
        for (name, bytes) in sample.members.sorted(by: { $0.key < $1.key }) where name != "VERIFY.txt" {
            var members = sample.members
            members[name]?[bytes.count * 2 / 3] ^= 0x20
            let outcome = try run(members)
            #expect(outcome.status != 0, "\(name)")
            // A changed list shows the line that differs; any other file is named.
            let isNamed = outcome.failed.contains { $0.contains("\(name):") } || name == "SHA256SUMS"
            #expect(isNamed, "\(name): \(outcome.failed)")
        }
    }

    @Test("catch every byte of the list, spellings sha256sum -c would take among them")
    func list() throws {
        let sample = try Sample()
        let list = String(decoding: try #require(sample.members["SHA256SUMS"]), as: UTF8.self)
        let spellings = [
            list.replacingOccurrences(of: "  checkpoint", with: " *checkpoint"),
            list.replacingOccurrences(of: "  checkpoint", with: "  ./checkpoint"),
            list.uppercased(), list + "\n", list + "# a remark\n", String(list.dropLast()),
            String(list.dropFirst(list.components(separatedBy: "\n")[0].count + 1)),
        ]
        for spelling in spellings {
            var members = sample.members
            members["SHA256SUMS"] = Array(spelling.utf8)
            let outcome = try run(members)
            #expect(outcome.status != 0 && !outcome.failed.isEmpty, "\(spelling.suffix(100))")
        }
        for name in ["more.txt", "-x", "entries/more", ".hidden"] {
            var members = sample.members
            members[name] = Array("more".utf8)
            let outcome = try run(members)
            #expect(outcome.status != 0 && !outcome.failed.isEmpty, "\(name)")
        }
    }

    @Test("catch what is changed with the list made anew, wherever it matters")
    func behindTheList() throws {
        let sample = try Sample()
        let changes: [(name: String, old: String, new: String)] = [
            ("entries/0000000000000001.json", "upload", "api"),
            ("entries/0000000000000007.json", "match", "mismatch"),
            ("proofs/0000000000000006.tlog-proof", "index 6", "index 7"),
            ("openings/0000000000000001.size", "\n24", "\n25"),
            ("openings/0000000000000001.file_name", "final", "draft"),
            ("originals/1.txt", "contract", "contrast"),
            ("consistency/0000000000000002.txt", "\n2\n", "\n3\n"),
            ("checkpoint", "incarnation/2\n12", "incarnation/2\n13"),
            ("keys/1.vkey", "tests.example", "Tests.example"),
            ("keys/2.pem", "MCowBQYDK2VwAyEA", "MCowBQYDK2VwAyEB"),
            ("manifest.json", "\"size\":12", "\"size\":13"),
        ]
        for change in changes {
            let directory = try TemporaryDirectory()
            var members = sample.members
            let text = String(decoding: try #require(members[change.name]), as: UTF8.self)
            try #require(text.contains(change.old), "\(change.name)")
            members[change.name] = Array(text.replacingOccurrences(of: change.old, with: change.new).utf8)
            try directory.unpack(members)
            let relist = Process()
            relist.executableURL = URL(fileURLWithPath: "/bin/sh")
            relist.currentDirectoryURL = directory.url
            relist.arguments = [
                "-c",
                "export LC_ALL=C; rm SHA256SUMS; sums=$(sha256sum $(find . -type f | sed 's/..//' | sort)) && echo \"$sums\" > SHA256SUMS",
            ]
            try relist.run()
            relist.waitUntilExit()
            let outcome = try run(members, in: directory)
            #expect(outcome.status != 0 && !outcome.failed.isEmpty, "\(change.name): \(outcome.lines)")
            #expect(!outcome.failed.contains { $0.contains("SHA256SUMS") }, "\(change.name): \(outcome.failed)")
        }
    }
}
