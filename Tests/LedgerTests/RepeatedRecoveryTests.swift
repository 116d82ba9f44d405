import Glibc
import LedgerFormat
import Testing

@testable import Ledger

/// Recoveries that follow one another, or that were cut off.
@Suite struct RepeatedRecoveryTests {
    private let fixture: LedgerFixture

    init() throws {
        fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in for _ in 0..<6 { _ = try ledger.submit([Sample.deposit()]) } }
    }

    /// The lock of an incarnation this store knows nothing of is read, and what was lost with it admitted.
    @Test func theLockOfALaterIncarnationStatesWhatWasLost() throws {
        let store = fixture.directory + "/earlier"
        try copyFile(fixture.locations.store + "/data.mdb", store)
        let lost = try {
            let ledger = try fixture.open(keyring: fixture.recover())
            defer { ledger.stop() }
            return try ledger.submit([Sample.deposit(), Sample.deposit()]).checkpoint
        }()
        let newest = try #require(try CheckpointLock.peek(fixture.locations.lock)).checkpoint().1
        #expect(newest.size > lost.size)
        try copyFile(store, fixture.locations.store + "/data.mdb")
        let again = try fixture.open(keyring: fixture.recover(.backupRestored))
        let page = try again.list(EntryFilter(type: "system.recovered"), from: nil, limit: 2, reverse: false)
        again.stop()
        let recovery = try Recovery(Entry(#require(page.entries.first).bytes))
        #expect(recovery.lock == Recovery.Tree(size: newest.size, root: newest.root))
        #expect(page.entries.count == 1 && recovery.tree.size < newest.size)
    }

    /// Between the entry and the new lock a recovery may be cut short; the next one does not state the same loss twice.
    @Test func aRecoveryCutShortIsFollowedByAnother() throws {
        let lock = fixture.directory + "/old-lock"
        let backup = fixture.directory + "/backup"
        try fixture.whileOpen { ledger in
            _ = try ledger.backup(to: backup)
            _ = try ledger.submit([Sample.deposit()])
        }
        // One entry more than the lock knows of: the recovery's own takes the number of one that was signed.
        try copyFile(fixture.locations.lock, lock)
        try copyFile(backup + "/data.mdb", fixture.locations.store + "/data.mdb")
        let first = try fixture.recover(.backupRestored)
        do {
            let ledger = try fixture.open(keyring: first)
            for _ in 0..<3 { _ = try ledger.submit([Sample.deposit()]) }
            ledger.stop()
        }
        try copyFile(lock, fixture.locations.lock)
        let second = try first.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: first, keyring: second, reason: .moved)
        let again = try fixture.open(keyring: second)
        let page = try again.list(EntryFilter(type: "system.recovered"), from: nil, limit: 3, reverse: false)
        again.stop()
        let recoveries = try page.entries.map { try Recovery(Entry($0.bytes)) }
        #expect(recoveries.count == 2 && recoveries[0].lock != nil && recoveries[1].lock == nil)
        #expect(try LedgerAudit.run(at: fixture.locations, keyring: second, progress: { _, _ in }).findings == [])
    }

    /// One that was cut off between its entry and its lock is ended by the next call with the same key: the lock it took
    /// over is still there, and no second incarnation begins.
    @Test(arguments: [true, false])
    func aRecoveryThatWasCutOffBeforeItsLockIsEnded(isLockKept: Bool) throws {
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        let path = fixture.locations.lock
        #expect(link(path, path + ".old") == 0)
        let old = try #require(try CheckpointLock.peek(path))
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        func begin(_ held: HeldCheckpoints) throws -> Int64 {
            try LedgerCreation.beginIncarnation(
                at: fixture.locations,
                old: fixture.keyring,
                keyring: keyring,
                reason: .moved,
                held: held
            ).incarnation
        }
        let incarnation = try begin(.unstated)
        let written = try #require(try CheckpointLock.peek(path))
        // As if its process had ended before the lock had its name.
        if isLockKept { #expect(rename(path + ".old", path) == 0) } else { unlink(path) }
        #expect(throws: StartupRefusal.self) { try fixture.open(keyring: keyring) }
        if !isLockKept {
            // Nobody can tell any more what was signed.
            #expect(throws: StartupRefusal.self) { try begin(.unstated) }
        }
        #expect(try begin(isLockKept ? .unstated : .none) == incarnation)
        let ended = try #require(try CheckpointLock.peek(path))
        #expect(ended.note == written.note && ended.sequence == (isLockKept ? written.sequence : 1))
        // Once its lock is there, it is over.
        #expect(throws: StartupRefusal.self) { try begin(.none) }
        let ledger = try fixture.open(keyring: keyring)
        let page = try ledger.list(EntryFilter(type: "system.recovered"), from: nil, limit: 2, reverse: false)
        ledger.stop()
        let checkpoint = try old.checkpoint().1
        #expect(page.entries.count == 1)
        let stated = try Recovery(Entry(#require(page.entries.first).bytes)).lock
        #expect(stated == Recovery.Tree(size: checkpoint.size, root: checkpoint.root))
        #expect(try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in }).isClean)
        // There is one copy of the old lock, not one for each call.
        let kept = names(in: fixture.directory + "/lock").filter { $0.utf8.starts(with: "checkpoint.lock.inc".utf8) }
        #expect(kept == ["checkpoint.lock.incarnation-1"])
        #expect(try CheckpointLock.peek(path + ".incarnation-1") == old)
    }

    /// The old lock may be another than the one that was taken over.
    @Test func aRecoveryThatWasCutOffIsNotEndedOverAnotherLock() throws {
        let path = fixture.locations.lock
        let aside = path + ".old"
        try copyFile(path, aside)
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        let keyring = try fixture.recover()
        #expect(rename(aside, path) == 0)
        let before = try CheckpointLock.peek(path)
        do {
            _ = try LedgerCreation.beginIncarnation(
                at: fixture.locations,
                old: fixture.keyring,
                keyring: keyring,
                reason: .moved
            )
            Issue.record("a lock was taken that the recovery does not state")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .otherRoot)
        }
        #expect(try CheckpointLock.peek(path) == before)
    }

    @Test func twoRecoveriesFromOneStateTakeTwoNumbers() throws {
        let store = fixture.directory + "/same"
        try copyFile(fixture.locations.store + "/data.mdb", store)
        var origins: Set<String> = []
        for _ in 0..<4 {
            try copyFile(store, fixture.locations.store + "/data.mdb")
            unlink(fixture.locations.lock)
            let ledger = try fixture.open(keyring: fixture.recover(.lockLost))
            #expect(ledger.incarnation > 1)
            origins.insert(ledger.origin)
            ledger.stop()
        }
        #expect(origins.count == 4)
    }
}
