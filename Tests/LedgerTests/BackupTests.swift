import Glibc
import Merkle
import Testing

@testable import Ledger

@Suite("Backups")
struct BackupTests {
    private struct Stopped: Error {}

    /// The root is looked for in the copy's tree rows, so one of these has to be wrong for another root.
    @Test("whose root is not the store's are none")
    func otherRoot() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            for _ in 0..<5 { _ = try ledger.submit([Sample.deposit()]) }
            let target = fixture.directory + "/b"
            let size = ledger.checkpoint.size
            let leaf = Array(try ledger.entry(at: size - 1).leaf.bytes)
            // Behind the leaf stand the roots of the subtrees it completes; the last is a peak.
            let offset = 32 * size.trailingZeroBitCount
            #expect(throws: StoreDamage.self) {
                try ledger.backup(to: target, below: nil) { descriptor in
                    var file = [UInt8](repeating: 0, count: 1 << 22)
                    file.removeLast(file.count - pread(descriptor, &file, file.count, 0))
                    let starts = file.indices.filter { file[$0...].starts(with: leaf) }
                    #expect(starts.count == 1)
                    for start in starts {
                        var byte = file[start + offset] ^ 1
                        #expect(pwrite(descriptor, &byte, 1, off_t(start + offset)) == 1)
                    }
                }
            }
            #expect(!names(in: fixture.directory).contains { $0.contains("backup") || $0 == "b" })
            #expect(try ledger.backup(to: target).size >= size)
        }
    }

    @Test("that can't be finished leave nothing")
    func failed() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let before = names(in: fixture.directory).sorted()
            #expect(throws: Stopped.self) {
                try ledger.backup(to: fixture.directory + "/b", below: fixture.directory) { _ in
                    #expect(names(in: fixture.directory).count == before.count + 1)
                    throw Stopped()
                }
            }
            #expect(names(in: fixture.directory).sorted() == before)
        }
    }

    @Test("given up at the daemon's end leave nothing, and none begins after")
    func abandoned() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let before = names(in: fixture.directory).sorted()
            #expect(throws: (any Error).self) {
                try ledger.backup(to: fixture.directory + "/b", below: nil) { _ in
                    ledger.abandonBackups()
                    #expect(names(in: fixture.directory).sorted() == before)
                }
            }
            #expect(throws: LedgerError.stopping) { try ledger.backup(to: fixture.directory + "/b") }
            #expect(names(in: fixture.directory).sorted() == before)
        }
    }

    @Test("lie below the root by their bytes, not by what these look like")
    func canonicalEquivalents() throws {
        let fixture = try LedgerFixture()
        let composed = fixture.directory + "/\u{00E9}"
        let decomposed = fixture.directory + "/e\u{0301}"
        #expect(composed == decomposed && !composed.utf8.elementsEqual(decomposed.utf8))
        #expect(mkdir(composed, 0o700) == 0 && mkdir(decomposed, 0o700) == 0)
        try fixture.whileOpen { ledger in
            #expect(throws: LedgerError.self) { try ledger.backup(to: decomposed + "/b", below: composed) }
            _ = try ledger.backup(to: composed + "/b", below: composed)
            #expect(names(in: composed) == ["b"] && names(in: decomposed).isEmpty)
        }
    }
}
