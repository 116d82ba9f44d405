import Dispatch
import Files
import Glibc
import LedgerFormat
import Synchronization
import Testing

@testable import Ledger

/// The checkpoint lock of a running daemon: renewed, and watched.
@Suite struct LockUpkeepTests {
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
