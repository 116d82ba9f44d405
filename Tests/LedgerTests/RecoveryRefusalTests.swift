import Files
import Glibc
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// What a new incarnation refuses to take over: nobody gets another history signed by it.
@Suite struct RecoveryRefusalTests {
    private let fixture: LedgerFixture
    private let victim: UInt64

    init() throws {
        fixture = try LedgerFixture()
        victim = try fixture.whileOpen { ledger in
            let index = try ledger.submit([Sample.deposit()]).receipts[0].index
            for _ in 0..<5 { _ = try ledger.submit([Sample.deposit()]) }
            return index
        }
    }

    private func refusal(
        _ reason: Recovery.Reason = .moved,
        held: HeldCheckpoints = .none
    ) throws -> StartupRefusal.Code? {
        let store = try FileSystem.read(fixture.locations.store + "/data.mdb", limit: 1 << 30)
        let lock = try? FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        do {
            try fixture.recover(reason, held: held)
            return nil
        } catch let refusal as StartupRefusal {
            // Nothing was signed, nothing written.
            #expect(try FileSystem.read(fixture.locations.store + "/data.mdb", limit: 1 << 30) == store)
            let kept = try? FileSystem.read(fixture.locations.lock, limit: 1 << 20)
            #expect(kept == lock)
            return refusal.code
        }
    }

    /// Changes an entry, and everything that follows from it in the store.
    private func rewriteHistory() throws {
        try fixture.rewrite(entry: victim) { $0.replacing("\"channel\":\"api\"", with: "\"channel\":\"upload\"") }
    }

    private func newestNote() throws -> SignedNote {
        try #require(try CheckpointLock.peek(fixture.locations.lock)).checkpoint().0
    }

    /// Whoever has the key can make everything in the store fit; only what others keep shows it.
    @Test func aCheckpointKeptElsewhereShowsARewrittenHistory() throws {
        let note = try newestNote()
        try rewriteHistory()
        try signCheckpointsAnew()
        unlink(fixture.locations.lock)
        #expect(try refusal(.lockLost, held: .unstated) == .checkpointMissing)
        #expect(try refusal(.lockLost, held: .given([note])) == .otherRoot)
        #expect(try refusal(.lockLost, held: .none) == nil)
        let audited = try fixture.audit()
        #expect(audited.unlockedRecoveries == [audited.size - 1])
    }

    /// A lock whose note does not hold is none, and shows nothing either.
    @Test func aLockThatDoesNotHoldTakesACheckpointTooAndAReadableOneIsComparedBeside() throws {
        let note = try newestNote()
        let other = try LedgerFixture(origin: "other.example/ledger")
        let foreign = try #require(try CheckpointLock.peek(other.locations.lock)).checkpoint().0
        #expect(try refusal(.moved, held: .given([note, foreign])) == .checkpointInvalid)
        let bytes = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        try FileSystem.write([UInt8](repeating: 7, count: bytes.count), to: fixture.locations.lock)
        #expect(try refusal(.lockDamaged, held: .unstated) == .checkpointMissing)
        #expect(try refusal(.lockDamaged, held: .given([foreign])) == .checkpointInvalid)
        #expect(try refusal(.lockDamaged, held: .given([note])) == nil)
        #expect(try fixture.audit().unlockedRecoveries.count == 1)
    }

    /// Signs all kept checkpoints anew, as only who has the key can.
    private func signCheckpointsAnew() throws {
        let signer = try CheckpointSigner(seed: fixture.keyring.checkpointSeed, origin: "test.example/ledger")
        try fixture.tamper { transaction, schema in
            var rows: [(size: UInt64, row: CheckpointRow)] = []
            try transaction.forEach(schema.checkpoints) { key, value in
                guard let size = StoreKey.readNumber(key), let row = CheckpointRow(Array(value)) else { return }
                rows.append((size, row))
            }
            for (size, row) in rows {
                let root = try schema.root(transaction, size: size)
                let note = try SignedNote.signed(
                    Checkpoint(origin: signer.name, size: size, root: root).text,
                    by: signer
                )
                let signature = try #require(note.signatures.first)
                try transaction.set(
                    schema.checkpoints,
                    StoreKey.number(size),
                    CheckpointRow(before: row.before, signature: signature).encoded
                )
            }
        }
    }

    @Test func aRewrittenHistoryIsRefusedByTheCheckpointsTheStoreKeeps() throws {
        try rewriteHistory()
        unlink(fixture.locations.lock)
        #expect(try refusal(.lockLost) == .damaged)
        try fixture.tamper { transaction, schema in
            try transaction.clear(schema.checkpoints)
            try transaction.set(schema.meta, StoreSchema.newestCheckpointKey, StoreKey.number(0))
        }
        #expect(try refusal(.lockLost) == .damaged)
    }

    @Test func aRewrittenHistoryIsRefusedByTheLock() throws {
        try rewriteHistory()
        try signCheckpointsAnew()
        #expect(try LedgerAudit.run(at: fixture.locations, keyring: nil, isCopy: true, progress: { _, _ in }).isClean)
        for reason in [.moved, .backupRestored, .lockLost, .lockDamaged] as [Recovery.Reason] {
            #expect(try refusal(reason) == .otherRoot)
        }
    }

    /// The roots that are signed are derived from the entries, not read from the tree's rows.
    @Test(arguments: [0, 1, 40] as [Int])
    func aDamagedTreeRowIsRefused(offset: Int) throws {
        try fixture.tamper { transaction, schema in
            // Entry 3 completes the subtrees of 1, 2 and 4 entries.
            var row = try #require(try transaction.get(schema.tree, StoreKey.number(3)))
            row[offset] ^= 1
            try transaction.set(schema.tree, StoreKey.number(3), row)
        }
        #expect(try refusal() == .damaged)
    }

    @Test func anIdentityThatNoEntryEstablishesIsRefused() throws {
        try fixture.tamper { transaction, schema in
            let signer = try CheckpointSigner(seed: fixture.keyring.checkpointSeed, origin: "test.example/other")
            let stored = try #require(try transaction.get(schema.meta, StoreSchema.identityKey))
            let text = String(decoding: stored, as: UTF8.self)
                .replacing(fixture.vkey, with: signer.vkey).replacing("test.example/ledger", with: signer.name)
            try transaction.set(schema.meta, StoreSchema.identityKey, Array(text.utf8))
        }
        #expect(try refusal() == .damaged)
    }

    @Test func aLockThatTheKeyDidNotSignIsNoLock() throws {
        let record = try #require(try CheckpointLock.peek(fixture.locations.lock))
        let checkpoint = try record.checkpoint().1
        let stranger = try CheckpointSigner(seed: Keyring().checkpointSeed, origin: checkpoint.origin)
        let forged = try SignedNote.signed(checkpoint.text, by: stranger).encoded
        for (incarnation, vkey) in [(1, fixture.vkey), (1, stranger.vkey), (7, stranger.vkey)] as [(Int64, String)] {
            unlink(fixture.locations.lock)
            try CheckpointLock.create(
                path: fixture.locations.lock,
                store: StoreHold(directory: fixture.locations.store)
            ) { places in
                LockRecord(sequence: 9, incarnation: incarnation, vkey: vkey, places: places, note: forged)
            }
            #expect(try refusal() == .lockDamaged)
        }
        let ledger = try fixture.open(keyring: fixture.recover(.lockDamaged))
        let page = try ledger.list(EntryFilter(type: "system.recovered"), from: nil, limit: 2, reverse: false)
        ledger.stop()
        #expect(try Recovery(Entry(#require(page.entries.first).bytes)).lock == nil)
    }

    @Test(arguments: [false, true])
    func aLinkToTheLockStaysOne(isLost: Bool) throws {
        let elsewhere = fixture.directory + "/elsewhere"
        #expect(rename(fixture.locations.lock, elsewhere) == 0)
        #expect(symlink("../elsewhere", fixture.locations.lock) == 0)
        if isLost { unlink(elsewhere) }
        try fixture.open(keyring: fixture.recover(isLost ? .lockLost : .moved)).stop()
        var status = stat()
        #expect(lstat(fixture.locations.lock, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(FileSystem.exists(elsewhere) && FileSystem.exists(elsewhere + ".incarnation-1") == !isLost)
    }

    /// Puts a lock in place whose numbers are others, over the note of the one there is.
    private func forge(sequence: UInt64 = 9, incarnation: Int64 = 1, vkey: String? = nil, note: String? = nil) throws {
        let record = try #require(try CheckpointLock.peek(fixture.locations.lock))
        unlink(fixture.locations.lock)
        let hold = try StoreHold(directory: fixture.locations.store)
        try CheckpointLock.create(path: fixture.locations.lock, store: hold) { places in
            LockRecord(
                sequence: sequence,
                incarnation: incarnation,
                vkey: vkey ?? record.vkey,
                places: places,
                note: note ?? record.note
            )
        }
    }

    /// 2^53 - 1 is the greatest integer of the format, and up to 2^32 are added to the number of an incarnation.
    @Test func aLockOfAnIncarnationThatNoneCanFollowIsRefused() throws {
        for incarnation in [9_007_199_254_740_991, 9_007_194_959_773_696] as [Int64] {
            try forge(incarnation: incarnation)
            #expect(try refusal() == .lockDamaged)
            #expect(try refusal(.lockDamaged) == .lockDamaged)
            #expect(try fixture.refusal { try fixture.open() }.code == .otherRoot)
        }
        // What is beyond is no number of a record.
        try forge(incarnation: .max)
        #expect(try CheckpointLock.peek(fixture.locations.lock) == nil)
        #expect(try fixture.refusal { try fixture.open() }.code == .lockDamaged)
        let ledger = try fixture.open(keyring: fixture.recover(.lockDamaged))
        #expect(2...4_294_967_297 ~= ledger.incarnation)
        ledger.stop()
    }

    @Test func theLastIncarnationThatCanBeFollowedIs() throws {
        let origin = "test.example/ledger/incarnation/9007194959773695"
        let checkpoint = try #require(try CheckpointLock.peek(fixture.locations.lock)).checkpoint().1
        let signer = try CheckpointSigner(seed: Keyring().checkpointSeed, origin: origin)
        let later = Checkpoint(origin: origin, size: checkpoint.size, root: checkpoint.root)
        let note = try SignedNote.signed(later.text, by: signer).encoded
        try forge(incarnation: 9_007_194_959_773_695, vkey: signer.vkey, note: note)
        let keyring = try fixture.recover()
        do {
            let ledger = try fixture.open(keyring: keyring)
            #expect(9_007_194_959_773_696...9_007_199_254_740_991 ~= ledger.incarnation)
            ledger.stop()
        }
        // Nothing follows that of the store either; it goes on being used.
        #expect(throws: StoreDamage.self) {
            try LedgerCreation.beginIncarnation(
                at: fixture.locations,
                old: keyring,
                keyring: keyring.withFreshCheckpointKey(),
                reason: .moved
            )
        }
        try fixture.open(keyring: keyring).stop()
    }

    @Test(arguments: [9_007_199_254_740_992, .max] as [UInt64])
    func aLockOfMoreEntriesThanALedgerCanHaveIsDamaged(size: UInt64) throws {
        let origin = "test.example/ledger/incarnation/7"
        let checkpoint = try #require(try CheckpointLock.peek(fixture.locations.lock)).checkpoint().1
        let signer = try CheckpointSigner(seed: Keyring().checkpointSeed, origin: origin)
        let note = try SignedNote.signed(Checkpoint(origin: origin, size: size, root: checkpoint.root).text, by: signer)
        try forge(incarnation: 7, vkey: signer.vkey, note: note.encoded)
        #expect(try refusal() == .lockDamaged)
        let ledger = try fixture.open(keyring: fixture.recover(.lockDamaged))
        let page = try ledger.list(EntryFilter(type: "system.recovered"), from: nil, limit: 2, reverse: false)
        ledger.stop()
        #expect(try Recovery(Entry(#require(page.entries.first).bytes)).lock == nil)
    }

    @Test func aLockThatHasCountedToTheEndSignsNothingMore() throws {
        try forge(sequence: 9_007_199_254_740_991)
        let before = try #require(try CheckpointLock.peek(fixture.locations.lock))
        let refusal = try fixture.refusal { try fixture.open() }
        #expect(refusal.code == .lockDamaged)
        // It was not even renewed.
        #expect(try CheckpointLock.peek(fixture.locations.lock) == before)
        let ledger = try fixture.open(keyring: fixture.recover())
        ledger.stop()
        #expect(try #require(try CheckpointLock.peek(fixture.locations.lock)).sequence < 9)
    }

    @Test func aNewLockCountsOnFromTheOldOne() throws {
        let sequence = try #require(try CheckpointLock.peek(fixture.locations.lock)).sequence
        #expect(sequence > 3)
        let keyring = try fixture.recover()
        #expect(try CheckpointLock.peek(fixture.locations.lock)?.sequence == sequence + 1)
        unlink(fixture.locations.lock)
        _ = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: keyring,
            keyring: keyring.withFreshCheckpointKey(),
            reason: .lockLost,
            held: .none
        )
        #expect(try CheckpointLock.peek(fixture.locations.lock)?.sequence == 1)
    }
}
