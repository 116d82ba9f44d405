import Files
import Foundation
import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct StartTests {
    @Test func aMissingLockIsRefusedWithInstructions() throws {
        let fixture = try LedgerFixture()
        unlink(fixture.locations.lock)
        let refusal = try fixture.refusal { try fixture.open() }
        #expect(refusal.code == .lockMissing)
        #expect(refusal.advice.contains("evidence recover"))
    }

    @Test func aLockWithoutAnIntactRecordIsRefused() throws {
        let fixture = try LedgerFixture()
        let bytes = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        for damaged in [[], Array(bytes.dropLast()), [UInt8](repeating: 0, count: bytes.count)] {
            unlink(fixture.locations.lock)
            try FileSystem.create(fixture.locations.lock, damaged, mode: 0o600)
            #expect(try fixture.refusal { try fixture.open() }.code == .lockDamaged)
        }
    }

    /// Hashes that are right, over texts that are not as the ledger writes them.
    @Test func aLockRecordHasOneSpelling() throws {
        let places = LockRecord.Places(
            lock: FilePlace(inode: 131, birth: FilePlace.Birth(seconds: 1_767_225_600, nanoseconds: 7), volume: nil),
            store: FilePlace(inode: 132, birth: nil, volume: "serial:vol-1/2")
        )
        let record = LockRecord(sequence: 7, incarnation: 1, vkey: "key", places: places, note: "note\n")
        let slot = record.slot
        #expect(LockRecord(slot: slot) == record)
        func sealed(_ text: String) -> [UInt8] {
            let content = Array(text.utf8) + [UInt8](repeating: 0, count: 4_064 - text.utf8.count)
            return content + SHA256Hasher().hash(content).bytes
        }
        let text = """
            evidenced checkpoint lock v2
            sequence 7
            incarnation 1
            vkey key
            lock 131 1767225600.000000007 -
            store 132 - serial:vol-1/2

            note

            """
        #expect(sealed(text) == slot)
        let spellings = [
            ("lock v2", "lock v1"), ("sequence 7", "sequence +7"), ("incarnation 1", "incarnation 01"),
            ("sequence 7", "sequence 9007199254740992"), ("incarnation 1", "incarnation 9007199254740992"),
            ("incarnation 1", "incarnation 9223372036854775807"), ("incarnation 1", "incarnation 0"),
            ("incarnation 1", "incarnation -1"),
            ("note\n", "note\n\0rest"), ("lock 131", "lock +131"), ("600.000000007", "600.7"),
            ("600.000000007", "600.1000000000"), ("600.000000007 -", "600.000000007"), ("132 -", "132 - -"),
            ("serial:vol-1/2", "serial:\u{7F}"), ("sequence 7\n", "sequence 7\r\n"), ("vkey key", "vkey\u{301} key"),
        ]
        for (old, new) in spellings {
            let changed = text.replacing(old, with: new)
            #expect(Array(changed.utf8) != Array(text.utf8) && LockRecord(slot: sealed(changed)) == nil, "\(new)")
        }
        // The greatest integer of the format is the last; none follows it.
        let last = text.replacing("sequence 7", with: "sequence 9007199254740991")
        let greatest = try #require(LockRecord(slot: sealed(last)))
        #expect(greatest.following == nil && record.following == 8)
    }

    @Test func aTornLockWriteLeavesTheRecordBefore() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        let bytes = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        let newest = try #require(try CheckpointLock.peek(fixture.locations.lock))
        let slot = Int(newest.sequence % 2) * 4_096
        for offset in [0, 31, 200, 4_000, 4_095] {
            var torn = bytes
            torn[slot + offset] ^= 1
            unlink(fixture.locations.lock)
            try FileSystem.create(fixture.locations.lock, torn, mode: 0o600)
            let record = try #require(try CheckpointLock.peek(fixture.locations.lock))
            #expect(record.sequence == newest.sequence - 1)
        }
        // The store is ahead of such a lock, as after a crash between commit and lock: it opens and signs again.
        try fixture.settle()
        try fixture.whileOpen { #expect($0.checkpoint.size >= 5) }
        #expect(try fixture.audit().isClean)
    }

    @Test func aSecondDaemonIsRefused() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let refusal = try fixture.refusal { try fixture.open() }
            #expect(refusal.code == .inUse)
            #expect(refusal.advice.contains("one daemon"))
            _ = try ledger.submit([Sample.deposit()])
        }
    }

    @Test func aRestoredBackupIsRefusedWithInstructions() throws {
        let fixture = try LedgerFixture()
        let backup = fixture.directory + "/backup"
        try fixture.whileOpen { ledger in
            _ = try ledger.submit([Sample.deposit()])
            _ = try ledger.backup(to: backup)
            _ = try ledger.submit([Sample.deposit()])
        }
        try copyFile(backup + "/data.mdb", fixture.locations.store + "/data.mdb")
        let refusal = try fixture.refusal { try fixture.open() }
        #expect(refusal.code == .olderThanLock)
        #expect(refusal.reason.contains("restored backup"))
        #expect(refusal.advice.contains("evidence recover --reason backup-restored"))
    }

    @Test func anotherHistoryOfTheSameLengthIsRefused() throws {
        let fixture = try LedgerFixture()
        let size = try fixture.whileOpen { ledger in
            _ = try ledger.submit([Sample.deposit()])
            return ledger.checkpoint.size
        }
        // A forged store: its last entry but one, tree and chain rewritten consistently.
        try fixture.rewrite(entry: size - 1) { $0.replacing("application/pdf", with: "application/xml") }
        let refusal = try fixture.refusal { try fixture.open() }
        #expect(refusal.code == .otherRoot)
        #expect(refusal.advice.contains("evidence audit"))
    }

    @Test func aDamagedTailIsNamed() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        try fixture.tamper { transaction, schema in
            var bytes = try schema.entry(transaction, 3)
            bytes[10] ^= 1
            try transaction.set(schema.entries, StoreKey.number(3), bytes)
        }
        do {
            try fixture.open().stop()
            Issue.record("the damage was not noticed")
        } catch let damage as StoreDamage {
            #expect(damage.index == 3)
        }
    }

    /// What a start signs comes from the entries: each hash of each row behind the lock's checkpoint is compared.
    @Test func treeRowsBehindTheLockAreNotTrusted() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { for _ in 0..<4 { _ = try $0.submit([Sample.deposit()]) } }
        let lock = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        let signed = try #require(CheckpointLock.newest(lock)).checkpoint().1.size
        try fixture.whileOpen { for _ in 0..<9 { _ = try $0.submit([Sample.deposit()]) } }
        // As if the power had failed between commits and lock: nobody was told of what came since.
        try FileSystem.write(lock, to: fixture.locations.lock)
        try fixture.settle()
        var rows: [(index: UInt64, row: [UInt8])] = []
        try fixture.tamper { transaction, schema in
            for index in signed..<(try schema.size(transaction)) {
                rows.append((index, try #require(try transaction.get(schema.tree, StoreKey.number(index)))))
            }
        }
        #expect(rows.count > 9 && rows.contains { $0.row.count > 64 })
        for (index, row) in rows {
            var changed = (0..<row.count / 32).map { level in
                var bytes = row
                bytes[32 * level + 7] ^= 1
                return bytes
            }
            // A row too long, and one too short where there may be.
            changed += [row + row.prefix(32), Array(row.dropLast(32))]
            for bytes in changed {
                try fixture.tamper { transaction, schema in
                    try transaction.set(schema.tree, StoreKey.number(index), bytes)
                }
                do {
                    try fixture.open().stop()
                    Issue.record("row \(index) was trusted")
                    return
                } catch let damage as StoreDamage {
                    #expect(damage.index == index)
                }
            }
            try fixture.tamper { transaction, schema in
                try transaction.set(schema.tree, StoreKey.number(index), row)
            }
        }
        try fixture.whileOpen { #expect($0.checkpoint.size >= rows[rows.count - 1].index) }
        #expect(try fixture.audit().isClean)
    }

    @Test func aShortenedDataFileIsRefusedAndDoesNotKill() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        truncate(fixture.locations.store + "/data.mdb", 16_384)
        #expect(throws: StoreDamage.self) { try fixture.open() }
        #expect(throws: StoreDamage.self) { try fixture.audit() }
    }

    @Test func anotherLedgersKeyringIsRefused() throws {
        let fixture = try LedgerFixture()
        #expect(try fixture.refusal { try fixture.open(keyring: Keyring()) }.code == .keyMismatch)
    }

    @Test func anotherLedgersLockIsRefused() throws {
        let fixture = try LedgerFixture()
        let other = try LedgerFixture(origin: "other.example/ledger")
        try copyFile(other.locations.lock, fixture.locations.lock)
        #expect(try fixture.refusal { try fixture.open() }.code == .otherRoot)
    }
}
