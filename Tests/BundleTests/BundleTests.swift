import Bundle
import Foundation
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing
import Zip

@Suite("Bundles")
struct BundleTests {
    @Test("pass every check, and say who signed where a key is given")
    func good() throws {
        let sample = try Sample()
        let report = try Sample.verify(sample.members, key: sample.ledger.signer.vkey)
        // Nothing in the sample tells of the clock.
        for check in report.checks where check.kind != .clock { #expect(check.outcome == .passed, "\(check.text())") }
        #expect(report.checks.first { $0.kind == .clock }?.outcome == .unchecked && report.container == .issued)
        #expect(report.verdict == .verified && report.signer == .given)
        #expect(Set(report.checks.map(\.kind)).union([.succession]) == Set(BundleCheckKind.allCases))
        #expect(report.checks.map(\.kind.step) == report.checks.map(\.kind.step).sorted())
        #expect(report.manifest?.keys.map(\.incarnation) == [1, 2])
    }

    @Test("give openings one spelling: nothing in them that is read as something else")
    func openings() throws {
        let salt = [UInt8](repeating: 7, count: 32)
        let value = Array("1".utf8)
        let preimage = { (name: [UInt8]) in
            var bytes: [UInt8] = []
            ClaimCommitment.append(salt: salt.span, name: name.span, value: value.span, to: &bytes)
            return bytes
        }
        #expect(try OpeningText(preimage(Array("size".utf8))).name == "size")
        #expect(throws: BundleFormatError.self) { try OpeningText(preimage([0x61, 0xF8])) }
    }

    @Test("hold the members the format names")
    func members() throws {
        let sample = try Sample()
        #expect(
            sample.members.keys.sorted() == [
                "SHA256SUMS", "VERIFY.txt", "checkpoint", "consistency/0000000000000002.txt",
                "consistency/0000000000000008.txt", "entries/0000000000000000.json", "entries/0000000000000001.json",
                "entries/0000000000000006.json", "entries/0000000000000007.json", "entries/0000000000000008.json",
                "index.html", "keys/1.pem", "keys/1.vkey", "keys/2.pem", "keys/2.vkey", "manifest.json",
                "openings/0000000000000001.file_name", "openings/0000000000000001.sha256",
                "openings/0000000000000001.size", "originals/1.txt", "proofs/0000000000000000.tlog-proof",
                "proofs/0000000000000001.tlog-proof", "proofs/0000000000000006.tlog-proof",
                "proofs/0000000000000007.tlog-proof", "proofs/0000000000000008.tlog-proof",
            ]
        )
        for name in sample.members.keys { #expect(BundleMember(name: name)?.name == name) }
    }

    @Test("are the same bytes for the same contents, whatever order they are given in")
    func deterministic() throws {
        let sample = try Sample()
        let directory = try TemporaryDirectory()
        var reordered = sample.contents
        reordered.items.reverse()
        reordered.consistency.reverse()
        try BundleWriter.write(sample.contents, to: directory.path("a.zip"))
        try BundleWriter.write(reordered, to: directory.path("b.zip"))
        #expect(
            try Data(contentsOf: directory.url.appendingPathComponent("a.zip"))
                == Data(contentsOf: directory.url.appendingPathComponent("b.zip"))
        )
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).sorted() == ["a.zip", "b.zip"])
    }

    @Test("say that nothing shows whose ledger it is where no key is given, and refuse another key")
    func trust() throws {
        let sample = try Sample()
        let unknown = try Sample.verify(sample.members)
        #expect(unknown.verdict == .notShown && unknown.signer == .notShown)
        #expect(unknown.checks.first { $0.kind == .trust }?.outcome == .unchecked)
        let first = try Sample.verify(sample.members, key: sample.firstKey)
        #expect(first.verdict == .verified && first.signer == .succeeded)
        #expect(first.checks.first { $0.kind == .succession }?.outcome == .passed)
        let newest = try Sample.verify(sample.members, key: sample.ledger.signer.vkey)
        #expect(newest.verdict == .verified && newest.signer == .given)
        let stranger = try LedgerKey(name: SyntheticLedger.origin, seed: String(repeating: "33", count: 32)).vkey
        #expect(try Sample.verify(sample.members, key: stranger).verdict == .failed)
    }

    /// What anybody can make: the public first entry of a ledger, and behind it the loss of its key.
    @Test("don't show whose ledger it is where a key was lost since the one given")
    func lostKey() throws {
        var ledger = try SyntheticLedger()
        let first = ledger.signer.vkey
        try ledger.recover(incarnation: 2, seed: String(repeating: "44", count: 32), reason: .keyLost)
        let lost = ledger.signer.vkey
        try ledger.recover(incarnation: 5, seed: String(repeating: "55", count: 32))
        let deposit = try ledger.deposit(Sample.document, object: 2)
        let contents = BundleContents(
            checkpoint: try ledger.note(),
            items: try (0...deposit).map { try ledger.item($0, size: ledger.size) },
            consistency: [],
            selection: [],
            producer: Producer.name
        )
        let members = try Sample.bytes(of: BundleWriter.members(of: contents))
        let report = try Sample.verify(members, key: first)
        #expect(report.verdict == .notShown && report.hasPassed && report.signer == .notShown)
        let check = report.checks.first { $0.kind == .succession }
        #expect(check?.outcome == .unchecked && check?.member == "entries/0000000000000001.json")
        #expect(try Sample.verify(members, key: lost).signer == .succeeded)
        #expect(try Sample.verify(members, key: ledger.signer.vkey).signer == .given)
    }

    @Test("are not left behind where they don't pass their own verification")
    func selfCheck() throws {
        let sample = try Sample()
        let directory = try TemporaryDirectory()
        var contents = sample.contents
        contents.originals = [
            BundleContents.Original(index: 1, fileName: "a.txt", content: .bytes(Array("another".utf8)))
        ]
        #expect(throws: BundleWriterError.self) { try BundleWriter.write(contents, to: directory.path("a.zip")) }
        contents = sample.contents
        contents.items[2] = BundleContents.Item(bytes: contents.items[2].bytes, path: [])
        #expect(throws: BundleWriterError.self) { try BundleWriter.write(contents, to: directory.path("a.zip")) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
    }

    @Test("embed a page that has one place for the data, in which no text can end the element")
    func page() throws {
        let sample = try Sample()
        let page = String(decoding: try #require(sample.members["index.html"]), as: UTF8.self)
        let parts = page.components(separatedBy: #"<script type="application/json" id="bundle-data">"#)
        try #require(parts.count == 2)
        let data = try #require(parts[1].components(separatedBy: "</script>").first)
        #expect(!data.contains("<"))
        let value = try JSONReader.parse(Array(data.utf8))
        let files = try #require(value["files"]?.object)
        #expect(
            files.map(\.name).sorted()
                == sample.members.keys.filter {
                    !["index.html", "SHA256SUMS", "VERIFY.txt", "originals/1.txt"].contains($0)
                }.sorted()
        )
        for file in files { #expect(file.value.string.map { Array($0.utf8) } == sample.members[file.name]) }
        #expect(value["originals"]?["originals/1.txt"]?["size"]?.int == Int64(Sample.document.count))
        #expect(
            value["originals"]?["originals/1.txt"]?["sha256"]?.string == SHA256Hasher().hash(Sample.document).hex
        )
    }

    @Test("take the ending of an original's name only where it is letters and digits")
    func endings() {
        let endings = [
            "a.PDF": "pdf", "合同.docx": "docx", "a": "bin", "a.": "bin", "a.合同": "bin", "a.b/c": "bin",
            "x.tar.gz": "gz", ".profile": "bin", "a.longerthan8": "bin", "a.K": "k", "other.\u{212A}": "bin",
            "a.\u{301}pdf": "bin",
        ]
        for (name, ending) in endings {
            #expect(BundleContents.Original(index: 1, fileName: name, content: .bytes([])).ending == ending)
        }
    }
}
