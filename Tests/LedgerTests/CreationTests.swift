import Dispatch
import Files
import Foundation
import Glibc
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

/// How a ledger comes to be: once, whatever cuts it off.
@Suite struct CreationTests {
    @Test func aLedgerIsNeverCreatedByItselfNorTwice() throws {
        let fixture = try LedgerFixture()
        let elsewhere = LedgerLocations(
            store: fixture.directory + "/other",
            index: fixture.directory + "/other-index",
            keys: fixture.directory + "/other-keys",
            lock: fixture.locations.lock
        )
        let refusal = try fixture.refusal {
            try Ledger(at: elsewhere, keyring: fixture.keyring, version: "0.0.1", fatal: { fatalError("\($0)") })
        }
        #expect(refusal.code == .noLedger)
        #expect(refusal.advice.contains("evidence init"))
        #expect(names(in: fixture.directory).sorted() == ["keys", "lock", "store"])
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
        func create(_ origin: String, _ keyring: Keyring, _ suite: CipherSuite = .aes) -> StartupRefusal.Code? {
            do {
                let vkey = try LedgerCreation.create(
                    at: fixture.locations,
                    origin: origin,
                    suite: suite,
                    keyring: keyring
                )
                #expect(vkey == fixture.vkey)
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
            #expect(create("test.example/ledger", fixture.keyring, .sm4) == .unfinished)
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
        let path = fixture.directory + "/held"
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
            keys: fixture.directory + "/k",
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
}
