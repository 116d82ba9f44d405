import Glibc
import Merkle
import Synchronization
import Testing

@testable import LMDB
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

    /// LMDB keeps its map as it is while a copy is made, and whatever it writes to may hang.
    @Test("to what takes nothing more do not hold up a ledger that grows")
    func slow() throws {
        let fixture = try LedgerFixture()
        fixture.settings.mapBytes = 6 << 20
        try fixture.whileOpen { ledger in
            func append() throws { _ = try ledger.submit((0..<200).map { _ in try Sample.deposit() }) }
            // More than lies in buffers on the way.
            while ledger.environment.sizes.used < 4 << 20 { try append() }
            var pipe: [Int32] = [-1, -1]
            #expect(Glibc.pipe(&pipe) == 0)
            let (output, input) = (pipe[0], pipe[1])
            let outcome = Mutex<String?>(nil)
            let environment = ledger.environment
            let copying = startThread {
                do {
                    try environment.copy(to: input)
                    outcome.withLock { $0 = "done" }
                } catch {
                    outcome.withLock { $0 = "\(type(of: error))" }
                }
            }
            while environment.copies.withLock({ $0.isEmpty }) { usleep(1_000) }
            usleep(200_000)
            // Long after a map would have had to wait, what waits in the pipe is taken.
            let hasGrown = Atomic(false)
            let draining = startThread {
                for _ in 0..<300 where !hasGrown.load(ordering: .relaxed) { usleep(100_000) }
                _ = fcntl(output, F_SETFL, O_NONBLOCK)
                var buffer = [UInt8](repeating: 0, count: 1 << 20)
                while outcome.withLock({ $0 }) == nil { if read(output, &buffer, buffer.count) <= 0 { usleep(1_000) } }
            }
            // Another backup needs no larger map than there is, and takes nothing from this one.
            _ = try ledger.backup(to: fixture.directory + "/b")
            #expect(environment.copies.withLock { $0.count } == 1)
            let map = environment.sizes.map
            while environment.sizes.map == map { try append() }
            hasGrown.store(true, ordering: .relaxed)
            pthread_join(draining, nil)
            pthread_join(copying, nil)
            #expect(outcome.withLock { $0 } == "CopyInterrupted")
            close(output)
            close(input)
            // Where nothing is in its way, a copy is whole.
            #expect(try ledger.backup(to: fixture.directory + "/c").size == ledger.checkpoint.size)
        }
        #expect(try fixture.audit().isClean)
    }
}
