import Dispatch
import Foundation
import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

@Suite struct StartTests {
    @Test func aLedgerIsNeverCreatedByItselfNorTwice() throws {
        let fixture = try LedgerFixture()
        let elsewhere = LedgerLocations(
            store: fixture.directory + "/other",
            index: fixture.directory + "/other-index",
            lock: fixture.locations.lock
        )
        let refusal = try fixture.refusal {
            try Ledger(at: elsewhere, keyring: fixture.keyring, version: "0.0.1", fatal: { fatalError("\($0)") })
        }
        #expect(refusal.code == .noLedger)
        #expect(refusal.advice.contains("evidence init"))
        #expect(names(in: fixture.directory).sorted() == ["lock", "store"])
        do {
            _ = try LedgerCreation.create(at: fixture.locations, origin: "test.example/again", keyring: fixture.keyring)
            Issue.record("a ledger was overwritten")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .alreadyExists)
        }
    }

    /// A whole ledger of whose creation only the last step is missing may have been used: it is never made anew.
    @Test func aCreationThatWasCutOffIsGoneOnWith() throws {
        let fixture = try LedgerFixture()
        let (data, lock) = (fixture.locations.store + "/data.mdb", fixture.locations.lock)
        let partial = fixture.locations.store + "/init.partial"
        let before = try [data, lock].map { try FileSystem.read($0, limit: 1 << 30) }
        func create(_ origin: String, _ keyring: Keyring) -> StartupRefusal.Code? {
            do {
                #expect(
                    try LedgerCreation.create(at: fixture.locations, origin: origin, keyring: keyring) == fixture.vkey
                )
                return nil
            } catch {
                return (error as? StartupRefusal)?.code
            }
        }
        for isNamed in [true, false] {
            try FileSystem.makeDirectory(partial)
            if !isNamed { #expect(rename(data, partial + "/data.mdb") == 0) }
            #expect(create("test.example/again", fixture.keyring) == .unfinished)
            #expect(create("test.example/ledger", try Keyring()) == .unfinished)
            #expect(FileSystem.exists(partial))
            #expect(create("test.example/ledger", fixture.keyring) == nil)
            #expect(try [data, lock].map { try FileSystem.read($0, limit: 1 << 30) } == before)
            #expect(!FileSystem.exists(partial))
        }
        // As a kill leaves it where a name is given by a link.
        try FileSystem.makeDirectory(partial)
        #expect(link(data, partial + "/data.mdb") == 0)
        #expect(create("test.example/ledger", fixture.keyring) == nil)
        #expect(try FileSystem.read(data, limit: 1 << 30) == before[0] && !FileSystem.exists(partial))
        #expect(create("test.example/ledger", fixture.keyring) == .alreadyExists)
        // Of one that was used, even the remains of the creation stay.
        try fixture.whileOpen { _ in }
        try FileSystem.makeDirectory(partial)
        let used = try FileSystem.read(lock, limit: 1 << 20)
        #expect(create("test.example/ledger", fixture.keyring) == .alreadyExists)
        #expect(try FileSystem.read(lock, limit: 1 << 20) == used)
        // Where its lock is lost, nobody knows what it signed.
        #expect(rename(lock, lock + ".lost") == 0)
        #expect(create("test.example/ledger", fixture.keyring) == .alreadyExists)
        #expect(FileSystem.exists(data) && FileSystem.exists(partial))
    }

    /// Who waits for a directory in whose place another comes holds that one.
    @Test func aDirectoryThatTookTheOthersPlaceIsHeld() throws {
        let fixture = try LedgerFixture()
        let path = fixture.directory + "/keys"
        #expect(mkdir(path, 0o700) == 0)
        let first = Glibc.open(path, O_RDONLY | O_DIRECTORY)
        #expect(flock(first, LOCK_EX) == 0)
        let held = Mutex(false)
        let done = DispatchSemaphore(value: 0)
        let waiting = Thread {
            _ = try? LedgerCreation.holding(keyring: path + "/keyring") {
                let other = Glibc.open(path, O_RDONLY | O_DIRECTORY)
                held.withLock { $0 = flock(other, LOCK_EX | LOCK_NB) != 0 }
                close(other)
            }
            done.signal()
        }
        waiting.start()
        usleep(300_000)
        #expect(rename(path, path + ".old") == 0 && mkdir(path, 0o700) == 0)
        close(first)
        #expect(done.wait(timeout: .now() + 20) == .success)
        #expect(held.withLock { $0 })
    }

    @Test(arguments: ["", "has space", "plus+sign", "a/incarnation/2", String(repeating: "a", count: 201), "名"])
    func originsThatCannotNameANoteAreRefused(_ origin: String) throws {
        let fixture = try LedgerFixture()
        let locations = LedgerLocations(
            store: fixture.directory + "/s",
            index: fixture.directory + "/i",
            lock: fixture.directory + "/l"
        )
        do {
            _ = try LedgerCreation.create(at: locations, origin: origin, keyring: fixture.keyring)
            Issue.record("the origin was taken")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .badOrigin)
        }
        #expect(!FileSystem.exists(locations.store))
    }

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

    @Test func aKeyringIsReadAsItIsWritten() throws {
        let fixture = try LedgerFixture()
        let bytes = fixture.keyring.encoded.withUnsafeBytes { Array($0) }
        func read(_ bytes: [UInt8]) -> [UInt8]? {
            bytes.withUnsafeBytes { Keyring($0) }.map { $0.encoded.withUnsafeBytes { Array($0) } }
        }
        // As the format has it, written with other means.
        var text = "evidenced keyring v1\n"
        for (name, key) in [
            ("checkpoint-ed25519", fixture.keyring.checkpointSeed), ("claims-aes256", fixture.keyring.claimsKey),
            ("index-hmac", fixture.keyring.indexKey),
        ] {
            text += "\(name) \(key.withUnsafeBytes { Data($0).base64EncodedString() })\n"
        }
        #expect(bytes == Array(text.utf8))
        #expect(read(bytes) == bytes)
        #expect(read(bytes + [0x0A]) == bytes)
        for wrong in [bytes + bytes, bytes + [0xFF], bytes + [0], Array(bytes.dropLast(2)), [], [0]] {
            #expect(read(wrong) == nil)
        }
        // Bits beyond the last byte, an unknown name, a key too short.
        for (old, new) in [("=\n", "-\n"), ("index-hmac ", "index-hmad "), ("index-hmac ", "index-hmac A")] {
            #expect(read(Array(text.replacing(old, with: new, maxReplacements: 1).utf8)) == nil)
        }
        // Nobody looks at what stands beyond the limit, so nothing may.
        let path = fixture.directory + "/long.keyring"
        let long = bytes + [UInt8](repeating: 0x0A, count: 4_096 - bytes.count) + Array("more\n".utf8)
        try FileSystem.create(path, long, mode: 0o600)
        #expect(throws: StartupRefusal.self) { try Keyring.load(path: path) }
    }

    /// A keyring that is replaced stays beside the new one, whatever the names and the file system.
    @Test func anOldKeyringIsKept() throws {
        let fixture = try LedgerFixture()
        let (path, real) = (fixture.directory + "/keyring", fixture.directory + "/elsewhere/real")
        try FileSystem.makeDirectory(fixture.directory + "/elsewhere")
        #expect(symlink("elsewhere/real", path) == 0)
        var keyrings = [fixture.keyring]
        try fixture.keyring.save(path: path)
        for _ in 0..<3 {
            keyrings.append(try fixture.keyring.withFreshCheckpointKey())
            try keyrings[keyrings.count - 1].stage(path: path)
            #expect(try Keyring.staged(path: path)?.checkpointSeed == keyrings[keyrings.count - 1].checkpointSeed)
            try Keyring.adoptStaged(path: path, suffix: "old")
        }
        let kept = try [real + ".old", real + ".old.2", real + ".old.3", path].map { try Keyring.load(path: $0) }
        #expect(kept.map(\.checkpointSeed) == keyrings.map(\.checkpointSeed))
        #expect(try FileSystem.target(of: path) == fixture.directory + "/elsewhere/real")
        #expect(
            try FileSystem.read(real + ".old", limit: 1 << 20) == fixture.keyring.encoded.withUnsafeBytes { Array($0) }
        )
        // No file has two names: such a thing not every file system has.
        var status = stat()
        #expect(stat(real + ".old", &status) == 0 && status.st_nlink == 1 && status.st_mode & 0o777 == 0o600)
        #expect(try Keyring.staged(path: path) == nil)
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

    @Test func keyringFilesOthersCanReadAreRefused() throws {
        let fixture = try LedgerFixture()
        let path = fixture.directory + "/keyring"
        try fixture.keyring.save(path: path)
        #expect(try Keyring.load(path: path).checkpointSeed == fixture.keyring.checkpointSeed)
        #expect(throws: SystemError.self) { try fixture.keyring.save(path: path) }
        chmod(path, 0o640)
        do {
            _ = try Keyring.load(path: path)
            Issue.record("the keyring was taken")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .badKeyring && refusal.advice.contains("chmod 600"))
        }
        #expect(try Keyring.load(path: path, isCredential: true).indexKey == fixture.keyring.indexKey)
        chmod(path, 0o604)
        #expect(throws: StartupRefusal.self) { try Keyring.load(path: path, isCredential: true) }
    }

    /// A renewal puts a file in the lock's place: not in that of another's.
    @Test(arguments: ["lock", "store"])
    func aRenewalReplacesNoOtherFile(_ what: String) throws {
        let fixture = try LedgerFixture()
        let path = what == "lock" ? fixture.locations.lock : fixture.locations.store + "/data.mdb"
        let hold = try StoreHold(directory: fixture.locations.store)
        let lock = try CheckpointLock(path: fixture.locations.lock, store: hold)
        try copyFile(path, path + ".copy")
        #expect(rename(path + ".copy", path) == 0)
        let before = try OpenFile(Glibc.open(path, O_RDONLY), path: path)
        #expect(throws: LockConflict.self) { try lock.renew() }
        #expect(try before.isInPlace())
        close(before.descriptor)
    }

    /// What has the passing name of a new lock and is none of this ledger's is left alone, and the old lock used on.
    @Test func aRenewalTakesNothingAway() throws {
        let fixture = try LedgerFixture()
        let other = try LedgerFixture()
        let draft = fixture.locations.lock + ".new"
        let hold = try StoreHold(directory: fixture.locations.store)
        let lock = try CheckpointLock(path: fixture.locations.lock, store: hold)
        let bytes = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        let foreign = try FileSystem.read(other.locations.lock, limit: 1 << 20)
        let long = bytes + [0]
        for kept in [Array("evidenced keyring v1\n".utf8), foreign, long, [UInt8](repeating: 1, count: 8_192)] {
            try FileSystem.create(draft, kept, mode: 0o600)
            let before = lock.places.lock
            #expect(try lock.renew() as? StartupRefusal != nil)
            #expect(try FileSystem.read(draft, limit: 1 << 20) == kept && lock.places.lock == before)
            // Nor does a new lock.
            #expect(throws: StartupRefusal.self) {
                try CheckpointLock.create(path: fixture.locations.lock, store: hold) { _ in lock.record }
            }
            #expect(try FileSystem.read(draft, limit: 1 << 20) == kept)
            unlink(draft)
        }
        #expect(mkfifo(draft, 0o600) == 0)
        #expect(try lock.renew() as? StartupRefusal != nil)
        unlink(draft)
        // A process that ended leaves none of it, a part of it, or parts of it not yet written.
        let torn = [UInt8](repeating: 0, count: 4_096) + bytes.suffix(4_096)
        for left in [[], Array(bytes.prefix(5_000)), Array(bytes.prefix(9)), torn, bytes] {
            try FileSystem.create(draft, left, mode: 0o600)
            #expect(try lock.renew() == nil)
            #expect(!FileSystem.exists(draft))
        }
        // One that is held is being written.
        try FileSystem.create(draft, bytes, mode: 0o600)
        let holder = Glibc.open(draft, O_RDWR)
        #expect(flock(holder, LOCK_EX) == 0)
        #expect((try lock.renew() as? StartupRefusal)?.code == .inUse && FileSystem.exists(draft))
        close(holder)
        // Both names of one file, as a kill leaves them where a name is given by a link.
        unlink(draft)
        #expect(link(fixture.locations.lock, draft) == 0)
        #expect(try lock.renew() == nil)
        #expect(!FileSystem.exists(draft) && FileSystem.exists(fixture.locations.lock))
    }

    private func place(_ path: String) throws -> FilePlace {
        let file = try OpenFile(Glibc.open(path, O_RDONLY), path: path)
        defer { close(file.descriptor) }
        return file.place
    }

    /// Once its time has come a lock is another file before anything more is answered, and soon where nothing is to be.
    @Test func aLockIsRenewedInALongRunToo() throws {
        let fixture = try LedgerFixture()
        let path = fixture.locations.lock
        fixture.settings.lockRenewalSeconds = 2
        fixture.settings.idleCheckSeconds = 1_000
        try fixture.whileOpen { ledger in
            _ = try ledger.submit([Sample.deposit()])
            for _ in 0..<2 {
                sleep(3)
                // An inode's number may come back as soon as the file that had it is gone.
                let kept = Glibc.open(path, O_RDONLY)
                defer { close(kept) }
                let before = try place(path)
                let answered = Mutex<FilePlace?>(nil)
                let answer = Answer()
                try ledger.append(Submissions([Sample.deposit()]), from: "shop", bytes: 400) { result in
                    // Nothing comes behind a kill here.
                    answered.withLock { $0 = try? self.place(path) }
                    answer.give(result)
                }
                _ = try answer.wait()
                #expect(answered.withLock { $0 } == (try place(path)))
                #expect(try CheckpointLock.peek(path)?.places.lock == answered.withLock { $0 })
                #expect(answered.withLock { $0 } != before)
            }
        }
        #expect(try fixture.audit().isClean)
        try fixture.whileOpen { _ in }
    }

    @Test func aLockIsRenewedWhileNothingIsRecorded() throws {
        let fixture = try LedgerFixture()
        let path = fixture.locations.lock
        fixture.settings.lockRenewalSeconds = 2
        fixture.settings.idleCheckSeconds = 1
        try fixture.whileOpen { ledger in
            _ = try ledger.submit([Sample.deposit()])
            let kept = Glibc.open(path, O_RDONLY)
            defer { close(kept) }
            let before = try place(path)
            sleep(5)
            let after = try place(path)
            #expect(after != before)
            sleep(3)
            // Nothing was written meanwhile.
            #expect(try place(path) == after)
        }
        #expect(try fixture.audit().isClean)
    }

    /// A daemon that has nothing to write finds out all the same.
    @Test(arguments: ["lock", "store"])
    func anIdleDaemonWhoseFilesAreElsewhereStops(_ what: String) throws {
        let fixture = try LedgerFixture()
        fixture.settings.idleCheckSeconds = 1
        let path = what == "lock" ? fixture.locations.lock : fixture.locations.store + "/data.mdb"
        let said = Mutex<[String]>([])
        let ended = DispatchSemaphore(value: 0)
        let ledger = try Ledger(
            at: fixture.locations,
            keyring: fixture.keyring,
            settings: fixture.settings,
            version: "0.0.1",
            fatal: { error in
                said.withLock { $0.append("\(error)") }
                ended.signal()
                while true { sleep(1_000) }
            }
        )
        _ = try ledger.submit([Sample.deposit()])
        try copyFile(path, path + ".copy")
        #expect(rename(path + ".copy", path) == 0)
        #expect(ended.wait(timeout: .now() + 20) == .success)
        #expect(said.withLock { $0 } == ["\(path) was removed or replaced"])
        // Its writer never ends, as a process would.
        withExtendedLifetime(ledger) {}
    }

    @Test func aLockChangedUnderARunningDaemonStopsIt() throws {
        let fixture = try LedgerFixture()
        let hold = try StoreHold(directory: fixture.locations.store)
        let lock = try CheckpointLock(path: fixture.locations.lock, store: hold)
        let other = try FileSystem.read(fixture.locations.lock, limit: 1 << 20)
        try lock.advance(vkey: fixture.vkey, note: lock.record.note)
        // Someone writes an older state back in place.
        let descriptor = Glibc.open(fixture.locations.lock, O_WRONLY)
        try FileSystem.write(other, to: descriptor, at: 0, name: "lock")
        close(descriptor)
        #expect(throws: LockConflict.self) {
            try lock.advance(vkey: fixture.vkey, note: lock.record.note)
        }
    }
}
