import Bundle
import Foundation
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing
import Zip

/// Each step of the verification fails on its own: everything made after the change is made anew, so that nothing but
/// the step at hand can notice.
@Suite("A changed bundle")
struct MutationTests {
    /// The kinds of check that fail, and the members they fail on.
    private func failures(_ report: BundleReport) -> [BundleCheckKind: Set<String>] {
        report.checks.filter { $0.outcome == .failed }.reduce(into: [:]) { failures, check in
            failures[check.kind, default: []].formUnion(check.member.map { [$0] } ?? [])
        }
    }

    /// Digests and, where the page is as it was, the page are made anew.
    private func repacked(_ members: [String: [UInt8]], page: Bool = true) -> [String: [UInt8]] {
        var members = members
        let hasher = SHA256Hasher()
        if page, let html = members["index.html"].map({ String(decoding: $0, as: UTF8.self) }) {
            let open = #"<script type="application/json" id="bundle-data">"#
            let parts = html.components(separatedBy: open)
            let after = parts[1].components(separatedBy: "</script>").dropFirst().joined(separator: "</script>")
            // The story for browsers without script may be left out; it would tell the texts as they were.
            let before =
                parts[0].components(separatedBy: "<noscript>\n<ul>")[0] + "<noscript></noscript>"
                + parts[0].components(separatedBy: "</pre>\n</noscript>").dropFirst().joined()
            members["index.html"] = Array("\(before)\(open)\(data(members))</script>\(after)".utf8)
        }
        members["SHA256SUMS"] = members.filter { $0.key != "SHA256SUMS" }
            .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .flatMap { Array("\(hasher.hash($0.value).hex)  \($0.key)\n".utf8) }
        return members
    }

    private func data(_ members: [String: [UInt8]]) -> String {
        var files: [JSONMember] = []
        var originals: [JSONMember] = []
        let hasher = SHA256Hasher()
        for (name, bytes) in members where !["index.html", "SHA256SUMS", "VERIFY.txt"].contains(name) {
            if name.hasPrefix("originals/") {
                let facts: JSONValue = .members([
                    "sha256": .string(hasher.hash(bytes).hex), "size": .int(Int64(bytes.count)),
                ])
                originals.append(JSONMember(name: name, value: facts))
            } else {
                files.append(JSONMember(name: name, value: .string(String(decoding: bytes, as: UTF8.self))))
            }
        }
        let value: JSONValue = .members(["files": .object(files), "originals": .object(originals)])
        return String(decoding: value.canonicalBytes, as: UTF8.self).replacingOccurrences(of: "<", with: "\\u003c")
    }

    private func replacing(_ bytes: [UInt8]?, _ old: String, _ new: String) throws -> [UInt8] {
        let text = String(decoding: try #require(bytes), as: UTF8.self)
        try #require(text.contains(old))
        return Array(text.replacingOccurrences(of: old, with: new).utf8)
    }

    private func failures(_ change: (inout [String: [UInt8]], Sample) throws -> Void) throws -> [BundleCheckKind: Set<
        String
    >] {
        let sample = try Sample()
        var members = sample.members
        try change(&members, sample)
        return failures(try Sample.verify(repacked(members), key: sample.ledger.signer.vkey))
    }

    /// What fails where an entry of the ledger is another and all that follows from it was signed so.
    private func resigned(_ index: Int, _ old: String, _ new: String) throws -> [BundleCheckKind: Set<String>] {
        let sample = try Sample()
        var ledger = sample.ledger
        ledger.replace(index, with: try replacing(ledger.entries[index], old, new))
        let note = try ledger.note()
        var members = sample.members
        for item in sample.contents.items {
            let index = try Entry(item.bytes).index
            members[BundleMember.entry(index).name] = ledger.entries[Int(index)]
            let proof = TlogProof(index: index, path: try ledger.item(index, size: ledger.size).path, note: note)
            members[BundleMember.proof(index).name] = Array(proof.encoded.utf8)
        }
        let first = try LedgerKey(name: SyntheticLedger.origin, seed: SyntheticLedger.firstSeed)
        for size: UInt64 in [2, 8] {
            let older = try SignedNote.signed(
                Checkpoint(origin: first.name, size: size, root: ledger.root(size)).text,
                by: first
            )
            let proof = try ledger.consistency(older.encoded, size: ledger.size)
            members[BundleMember.consistency(size).name] = Array(proof.encoded.utf8)
        }
        members["checkpoint"] = Array(note.utf8)
        members["manifest.json"] = try replacing(
            members["manifest.json"],
            sample.ledger.root(ledger.size).base64,
            ledger.root(ledger.size).base64
        )
        return failures(try Sample.verify(repacked(members), key: sample.ledger.signer.vkey))
    }

    @Test("that was made anew but for nothing still passes")
    func nothing() throws {
        #expect(try failures { _, _ in }.isEmpty)
    }

    @Test("step 1: a digest, a line or a file that is not as listed")
    func digests() throws {
        let sample = try Sample()
        for name in sample.members.keys where name != "SHA256SUMS" {
            var members = sample.members
            members[name]?[0] ^= 1
            let failed = failures(try Sample.verify(members))
            #expect(failed[.digests] == [name], "\(name)")
        }
        var members = sample.members
        members["SHA256SUMS"]?.append(contentsOf: "more\n".utf8)
        #expect(failures(try Sample.verify(members)) == [.digests: ["SHA256SUMS"]])
        members = sample.members
        members["SHA256SUMS"] = try replacing(members["SHA256SUMS"], "  checkpoint", " *checkpoint")
        #expect(failures(try Sample.verify(members))[.digests]?.contains("SHA256SUMS") == true)
        members = sample.members
        members["notes.txt"] = [1]
        #expect(failures(try Sample.verify(repacked(members)))[.archive] == ["notes.txt"])
    }

    @Test("step 1: an archive that holds nothing, or nothing but an original")
    func noTexts() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("empty.zip")
        // An end record alone.
        try Data([0x50, 0x4B, 5, 6] + [UInt8](repeating: 0, count: 18)).write(to: URL(fileURLWithPath: path))
        let reports = try [
            BundleVerifier.verify(path: path), Sample.verify(["originals/1.txt": Sample.document]),
        ]
        for report in reports {
            #expect(!report.hasPassed && report.manifest == nil)
            #expect(failures(report)[.manifest] == ["manifest.json"])
            #expect(Set(report.checks.map(\.kind)).union([.succession]).count == BundleCheckKind.allCases.count)
        }
    }

    @Test("step 2: a manifest that is not canonical or states other members; a page that shows something else")
    func manifest() throws {
        #expect(try failures { members, _ in members["manifest.json"]?.append(0x0A) }[.manifest] == ["manifest.json"])
        #expect(
            try failures { members, _ in
                members["manifest.json"] = try replacing(
                    members["manifest.json"],
                    "evidenced bundle 1",
                    "evidenced bundle 2"
                )
            }[.manifest] == ["manifest.json"]
        )
        #expect(
            try failures { members, _ in members["openings/0000000000000001.size"] = nil }
                == [.members: ["openings/0000000000000001.size"]]
        )
        #expect(
            try failures { members, _ in
                members["openings/0000000000000006.size"] = members["openings/0000000000000001.size"]
            } == [
                .members: ["openings/0000000000000006.size"], .openings: ["openings/0000000000000006.size"],
            ]
        )
        let sample = try Sample()
        var members = sample.members
        members["index.html"] = try replacing(members["index.html"], "text/plain", "text/html")
        #expect(
            failures(try Sample.verify(repacked(members, page: false)))
                == [.page: ["index.html"]]
        )
        members = sample.members
        members["index.html"]?.append(0x0A)
        #expect(failures(try Sample.verify(repacked(members, page: false))) == [.page: ["index.html"]])
        members = sample.members
        members["VERIFY.txt"]?.append(0x0A)
        #expect(failures(try Sample.verify(repacked(members))) == [.instructions: ["VERIFY.txt"]])
    }

    @Test("step 3: an entry of another form or type, or one that is not in the tree")
    func entries() throws {
        let name = "entries/0000000000000007.json"
        let proof = "proofs/0000000000000007.tlog-proof"
        #expect(try failures { members, _ in members[name]?.append(0x20) }[.entries] == [name])
        let next = "entries/0000000000000008.json"
        let changes: [(old: String, new: String, isForm: Bool)] = [
            ("\"match\"", "\"mismatch\"", false), ("\"match\"", "\"perhaps\"", true),
            ("\"submitter\":\"tests\"", "\"submitter\":\"evidenced\"", true),
        ]
        for change in changes {
            let failed = try failures { members, _ in
                members[name] = try replacing(members[name], change.old, change.new)
            }
            #expect(failed[.entries] == (change.isForm ? [name] : nil))
            #expect(failed[.inclusion] == [proof])
            #expect(failed[.chain] == [next])
        }
        #expect(
            try failures { members, _ in
                members[proof] = try replacing(members[proof], "index 7", "index 6")
            } == [.inclusion: [proof]]
        )
        #expect(
            try failures { members, _ in
                members[proof] = try replacing(members[proof], "index 7", "extra AA==\nindex 7")
            } == [.inclusion: [proof]]
        )
        #expect(
            try failures { members, _ in members[proof] = try replacing(members[proof], "\n\n", "\n") }[.inclusion]
                == [proof]
        )
    }

    @Test("step 4: an entry that does not follow the one before it")
    func chain() throws {
        let sample = try Sample()
        let previous = sample.ledger.leaves[6].base64
        #expect(
            try resigned(7, previous, sample.ledger.leaves[5].base64)[.chain]
                == ["entries/0000000000000007.json", "entries/0000000000000008.json"]
        )
        let time = try Entry(sample.ledger.entries[6]).time.description
        let failed = try resigned(6, time, "2027-01-01T00:00:00.000000Z")
        #expect(failed[.times] == ["entries/0000000000000007.json"])
        #expect(failed[.chain] == ["entries/0000000000000007.json"])
    }

    @Test("step 5: keys that the entries do not establish")
    func keys() throws {
        let stranger = try LedgerKey(name: SyntheticLedger.origin, seed: String(repeating: "33", count: 32)).vkey
        #expect(
            try failures { members, _ in members["keys/1.vkey"] = Array("\(stranger)\n".utf8) } == [
                .keys: ["keys/1.vkey"]
            ]
        )
        #expect(
            try failures { members, _ in members["keys/2.pem"] = members["keys/1.pem"] } == [.keys: ["keys/2.pem"]]
        )
        #expect(
            try failures { members, sample in
                members["manifest.json"] = try replacing(members["manifest.json"], sample.firstKey, stranger)
            } == [.keys: ["manifest.json"]]
        )
        let name = "entries/0000000000000008.json"
        let ledger = try Sample().ledger
        #expect(try resigned(8, "\"size\":8", "\"size\":7")[.identity] == [name])
        #expect(try resigned(8, ledger.root(8).base64, ledger.root(7).base64)[.identity] == [name])
        #expect(try resigned(8, "ledger/incarnation/2", "ledger/incarnation/3")[.identity] == [name])
        #expect(try resigned(0, "\"suite\":\"sha256\"", "\"suite\":\"sm3\"")[.identity] == [BundleMember.entry(0).name])
    }

    @Test("step 6: a checkpoint of another key, or another than the manifest states")
    func signature() throws {
        let failed = try failures { members, sample in
            let key = try LedgerKey(name: sample.ledger.signer.name, seed: String(repeating: "44", count: 32))
            let text = Checkpoint(
                origin: key.name,
                size: sample.ledger.size,
                root: sample.ledger.root(sample.ledger.size)
            ).text
            let note = try SignedNote.signed(text, by: key).encoded
            for name in members.keys where name == "checkpoint" || name.hasPrefix("proofs/") {
                members[name] = try replacing(members[name], sample.contents.checkpoint, note)
            }
        }
        #expect(failed == [.signature: ["checkpoint"]])
        #expect(
            try failures { members, _ in
                members["manifest.json"] = try replacing(members["manifest.json"], "\"size\":12}", "\"size\":13}")
            } == [.signature: ["manifest.json"]]
        )
    }

    @Test("step 7: a complete stream with a number missing, or with one more than stated")
    func streams() throws {
        let sample = try Sample()
        var contents = sample.contents
        contents.items.removeAll { $0.bytes == sample.ledger.entries[6] }
        let report = try Sample.verify(Sample.bytes(of: BundleWriter.members(of: contents)))
        #expect(failures(report) == [.streams: ["manifest.json"]])
        #expect(
            try failures { members, _ in
                members["manifest.json"] = try replacing(members["manifest.json"], "\"entries\":3", "\"entries\":2")
            } == [.streams: ["manifest.json"]]
        )
    }

    @Test("step 8: an opening with another salt, name or value")
    func openings() throws {
        let name = "openings/0000000000000001.size"
        #expect(
            try failures { members, _ in members[name] = try replacing(members[name], "\n24", "\n25") }
                == [.openings: [name]]
        )
        #expect(try failures { members, _ in members[name]?.append(0x0A) } == [.openings: [name]])
        #expect(
            try failures { members, _ in members[name] = members["openings/0000000000000001.file_name"] }
                == [.openings: [name]]
        )
    }

    @Test("step 9: an original that is another document")
    func originals() throws {
        #expect(try failures { members, _ in members["originals/1.txt"]?[3] ^= 1 } == [.originals: ["originals/1.txt"]])
        #expect(
            try failures { members, _ in members["originals/1.txt"]?.append(0x0A) } == [.originals: ["originals/1.txt"]]
        )
    }

    @Test("step 10: an older checkpoint that is no beginning, or of another key")
    func consistency() throws {
        let name = "consistency/0000000000000002.txt"
        #expect(
            try failures { members, sample in
                var proof = try ConsistencyText(try #require(members[name]))
                proof = ConsistencyText(path: proof.path.reversed(), note: proof.note)
                members[name] = Array(proof.encoded.utf8)
            } == [.consistency: [name]]
        )
        #expect(
            try failures { members, sample in
                let proof = try ConsistencyText(try #require(members[name]))
                let key = try LedgerKey(name: SyntheticLedger.origin, seed: String(repeating: "22", count: 32))
                let text = try SignedNote(parsing: Array(proof.note.utf8)).text
                let note = try SignedNote.signed(text, by: key).encoded
                members[name] = Array(ConsistencyText(path: proof.path, note: note).encoded.utf8)
            } == [.consistency: [name]]
        )
        #expect(
            try failures { members, _ in members[name] = members["consistency/0000000000000008.txt"] }
                == [.consistency: [name]]
        )
    }

    @Test("is located whatever byte of whatever member it is, by the list of digests and without it")
    func everyMember() throws {
        let sample = try Sample()
        for (name, bytes) in sample.members {
            for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 6)) {
                var members = sample.members
                members[name]?[position] ^= 0x20
                #expect(failures(try Sample.verify(members))[.digests] != nil, "\(name) \(position)")
                guard name != "SHA256SUMS" else { continue }
                let report = try Sample.verify(repacked(members, page: false))
                #expect(!report.hasPassed, "\(name) \(position)")
                let failed = report.checks.filter { $0.outcome == .failed }.map { $0.text() }
                #expect(failed.contains { $0.contains(name) }, "\(name) \(position): \(failed)")
            }
        }
    }

    @Test("has its archive refused for any bit of its headers, or is told to be packed anew")
    func archive() throws {
        let sample = try Sample()
        let directory = try TemporaryDirectory()
        try BundleWriter.write(sample.contents, to: directory.path("case.zip"))
        let bytes = try [UInt8](Data(contentsOf: directory.url.appendingPathComponent("case.zip")))
        // Which version of a program made a member is the one thing that is free: the byte behind a record's signature.
        let free = Set((4..<bytes.count).filter { bytes[($0 - 4)..<$0].elementsEqual([0x50, 0x4B, 0x01, 0x02]) })
        for position in stride(from: 0, to: bytes.count, by: 211) where !free.contains(position) {
            var changed = bytes
            changed[position] ^= 0x04
            try Data(changed).write(to: directory.url.appendingPathComponent("changed.zip"))
            let report = BundleVerifier.verify(path: directory.path("changed.zip"))
            let isTold = !report.hasPassed || report.container == .repacked
            #expect(isTold, "byte \(position)")
        }
        try Data(bytes.dropLast()).write(to: directory.url.appendingPathComponent("changed.zip"))
        let report = BundleVerifier.verify(path: directory.path("changed.zip"))
        #expect(!report.hasPassed && report.checks.map(\.kind) == BundleCheckKind.allCases)
    }
}
