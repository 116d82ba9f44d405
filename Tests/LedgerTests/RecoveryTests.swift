import Glibc
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct RecoveryTests {
    @Test func aNewIncarnationIsVisibleAndContradictsNothing() throws {
        let fixture = try LedgerFixture()
        let backup = fixture.directory + "/backup"
        let (old, lost) = try fixture.whileOpen { ledger in
            let old = try ledger.submit([Sample.deposit()])
            _ = try ledger.backup(to: backup)
            return (old, try ledger.submit([Sample.deposit()]))
        }
        try copyFile(backup + "/data.mdb", fixture.locations.store + "/data.mdb")
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        let (ended, incarnation, vkey) = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .backupRestored
        )
        let origin = "test.example/ledger/incarnation/\(incarnation)"
        #expect(ended == 1 && incarnation > 1)
        #expect(vkey.hasPrefix(origin + "+"))
        #expect(try fixture.refusal { try fixture.open() }.code == .keyMismatch)
        let ledger = try fixture.open(keyring: keyring)
        #expect(ledger.origin == origin && ledger.incarnation == incarnation)
        let recovered = try ledger.list(EntryFilter(type: "system.recovered"), from: nil, limit: 10, reverse: false)
        let body = try Entry(#require(recovered.entries.first).bytes).body
        #expect(body["lock_size"]?.int.map { $0 >= Int64(lost.checkpoint.size) } == true)
        #expect(body["size"]?.int.map { $0 < Int64(lost.checkpoint.size) } == true)
        // What was signed before the backup is still a prefix, under the old key.
        let consistency = try ledger.proveConsistency(first: old.checkpoint.size)
        #expect(consistency.firstRoot == old.checkpoint.root)
        try SignedNote(parsing: Array(old.checkpoint.note.utf8)).verify([CheckpointVerifier(vkey: fixture.vkey)])
        try SignedNote(parsing: Array(ledger.checkpoint.note.utf8)).verify([CheckpointVerifier(vkey: vkey)])
        ledger.stop()
        let report = try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in })
        #expect(report.findings == [] && report.incarnation == incarnation)
        // The old lock is kept as evidence of what was signed.
        #expect(names(in: fixture.directory + "/lock").contains("checkpoint.lock.incarnation-1"))
    }

    @Test func aLostLockCanBeRecoveredFrom() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        unlink(fixture.locations.lock)
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .lockLost,
            held: .none
        )
        let ledger = try fixture.open(keyring: keyring)
        _ = try ledger.submit([Sample.deposit()])
        ledger.stop()
        #expect(try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in }).isClean)
    }

    /// Whatever the sequence begins with, the record before the newest stays until the newest is whole.
    @Test(arguments: [0, 1, 2, 7] as [UInt64])
    func aTornWriteLeavesTheRecordBeforeIt(sequence: UInt64) throws {
        let fixture = try LedgerFixture()
        let path = fixture.locations.lock + ".new"
        let note = try #require(try CheckpointLock.peek(fixture.locations.lock)).note
        let hold = try StoreHold(directory: fixture.locations.store)
        try CheckpointLock.create(path: path, store: hold) { places in
            LockRecord(sequence: sequence, incarnation: 1, vkey: "first", places: places, note: note)
        }
        var older = try #require(try CheckpointLock.peek(path))
        #expect(older.sequence == sequence)
        for number in 0..<4 {
            let lock = try CheckpointLock(path: path, store: hold)
            #expect(lock.record == older)
            try lock.advance(vkey: "\(number)", note: note)
            // As if only half of what was written had reached the disk.
            let torn = path + ".torn"
            try copyFile(path, torn)
            let descriptor = open(torn, O_RDWR)
            let slot = off_t(lock.record.sequence % 2) * 4_096
            #expect(pwrite(descriptor, [UInt8](repeating: 0xA5, count: 2_048), 2_048, slot) == 2_048)
            close(descriptor)
            #expect(try CheckpointLock.peek(torn) == older)
            older = lock.record
        }
    }

    @Test func recoveryNeedsANewKeyAndNoRunningDaemon() throws {
        let fixture = try LedgerFixture()
        do {
            _ = try LedgerCreation.beginIncarnation(
                at: fixture.locations,
                old: fixture.keyring,
                keyring: fixture.keyring,
                reason: .moved
            )
            Issue.record("the old key was taken")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .keyMismatch)
        }
        let lockless = LedgerLocations(
            store: fixture.locations.store,
            index: fixture.locations.index,
            keys: fixture.locations.keys,
            lock: fixture.directory + "/no-lock"
        )
        do {
            let hold = try StoreHold(directory: fixture.locations.store)
            let lock = try CheckpointLock(path: fixture.locations.lock, store: hold)
            // Another lock is no way round a daemon that has the store.
            for locations in [fixture.locations, lockless] {
                do {
                    _ = try LedgerCreation.beginIncarnation(
                        at: locations,
                        old: fixture.keyring,
                        keyring: fixture.keyring.withFreshCheckpointKey(),
                        reason: .moved
                    )
                    Issue.record("recovery beside a daemon")
                } catch let refusal as StartupRefusal {
                    #expect(refusal.code == .inUse)
                }
            }
            #expect(lock.record.incarnation == 1)
        }
    }

    @Test func backupsTakenUnderLoadAreWholeAndAuditable() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let thread = startThread {
                for _ in 0..<300 { _ = try? ledger.submit([Sample.deposit()]) }
            }
            for number in 0..<3 {
                let target = fixture.directory + "/backup-\(number)"
                let report = try ledger.backup(to: target)
                #expect(names(in: target) == ["data.mdb"])
                let copy = LedgerLocations(
                    store: target,
                    index: target + "-none",
                    keys: fixture.locations.keys,
                    lock: fixture.locations.lock
                )
                let audit = try LedgerAudit.run(
                    at: copy,
                    keyring: fixture.keyring,
                    isCopy: true,
                    progress: { _, _ in }
                )
                #expect(audit.size == report.size && audit.root == report.root && audit.isClean)
            }
            #expect(throws: LedgerError.self) { try ledger.backup(to: fixture.directory + "/backup-0") }
            #expect(throws: LedgerError.self) { try ledger.backup(to: "relative") }
            #expect(throws: LedgerError.self) { try ledger.backup(to: "/tmp/../tmp/x") }
            pthread_join(thread, nil)
        }
    }
}
