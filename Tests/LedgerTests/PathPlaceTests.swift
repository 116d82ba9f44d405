import Glibc
import Testing

@testable import Ledger

@Suite struct PathPlaceTests {
    /// A scratch directory with `store`, a link to it, and what `body` makes.
    private func inScratch(_ body: (String) throws -> Void) throws {
        let fixture = try LedgerFixture()
        try withExtendedLifetime(fixture) { try body(fixture.directory) }
    }

    @Test func spellingsOfOnePlaceAreOne() throws {
        try inScratch { root in
            #expect(symlink("store", root + "/link") == 0)
            for spelling in ["/store/", "/store/.", "//store", "/./store", "/lock/../store", "/link", "/link/"] {
                #expect(PathPlace(root + spelling).isSame(as: PathPlace(root + "/store")), "\(spelling)")
                #expect(PathPlace(root + spelling + "/new/file").lies(in: PathPlace(root + "/store")), "\(spelling)")
            }
            for other in ["/stor", "/store2", "/stor\u{301}e", "/store\u{301}", "/new/store", ""] {
                #expect(!PathPlace(root + other).isSame(as: PathPlace(root + "/store")), "\(other)")
                #expect(!PathPlace(root + other).lies(in: PathPlace(root + "/store")), "\(other)")
            }
            // A mark after the slash is the first byte of a name and hides nothing.
            #expect(PathPlace(root + "/store/\u{301}lock").lies(in: PathPlace(root + "/store")))
            // What does not exist yet is placed by its names.
            #expect(PathPlace(root + "/a/b/../c").isSame(as: PathPlace(root + "/a/c")))
            #expect(PathPlace(root + "/a/c/d").lies(in: PathPlace(root + "/a/./c")))
        }
    }

    /// As a bind mount makes it; a hard link is the form of it that needs no privilege.
    @Test func oneDirectoryUnderTwoNamesIsOne() throws {
        try inScratch { root in
            #expect(link(root + "/store/data.mdb", root + "/other") == 0)
            #expect(PathPlace(root + "/other").isSame(as: PathPlace(root + "/store/data.mdb")))
        }
    }

    @Test func partsThatLieInOneAnotherAreConflicts() throws {
        try inScratch { root in
            #expect(symlink("store", root + "/link") == 0)
            func conflict(
                index: String = "/index",
                keys: String = "/keys",
                lock: String = "/lock/l",
                keyring: String? = nil,
                backups: String? = nil
            ) -> [String]? {
                LedgerLocations(
                    store: root + "/store",
                    index: root + index,
                    keys: root + keys,
                    lock: root + lock
                ).conflict(
                    keyring: keyring.map { root + $0 },
                    backupRoot: backups.map { root + $0 }
                )?.keys
            }
            #expect(conflict(keyring: "/keyring", backups: "/backups") == nil)
            for keys in ["/store", "/link", "/store/keys"] {
                #expect(conflict(keys: keys) == ["keys", "store"], "\(keys)")
            }
            #expect(conflict(keys: "/index/keys") == ["index", "keys"])
            #expect(conflict(keyring: "/keys/keyring") == ["keyring", "keys"])
            for index in ["/store", "/link", "/store/", "/store/index", "/link/index", ""] {
                #expect(conflict(index: index) == ["index", "store"], "\(index)")
            }
            for lock in ["/store/lock", "/link/lock", "//store//lock", "/store/\u{301}lock"] {
                #expect(conflict(lock: lock) == ["checkpoint-lock", "store"], "\(lock)")
            }
            #expect(conflict(lock: "/index/lock") == ["checkpoint-lock", "index"])
            #expect(conflict(keyring: "/link/keyring") == ["keyring", "store"])
            #expect(conflict(keyring: "/lock/./l") == ["keyring", "checkpoint-lock"])
            #expect(conflict(backups: "/index/b") == ["backup-root", "index"])
            // Nothing else has a name under which a lock or keyring is made.
            for suffix in [".new", ".part", ".new.part"] {
                #expect(conflict(keyring: "/lock/l" + suffix) == ["keyring", "checkpoint-lock"], "\(suffix)")
                #expect(
                    conflict(lock: "/keys/../k" + suffix, keyring: "/k") == ["checkpoint-lock", "keyring"],
                    "\(suffix)"
                )
                #expect(conflict(backups: "/lock/l" + suffix) == ["backup-root", "checkpoint-lock"], "\(suffix)")
                #expect(conflict(keyring: "/index" + suffix) == nil)
            }
            #expect(conflict(index: "/lock/l.new/index") == ["index", "checkpoint-lock"])
            #expect(symlink("elsewhere", root + "/l") == 0)
            #expect(conflict(lock: "/l", keyring: "/elsewhere.new") == ["keyring", "checkpoint-lock"])
        }
    }
}
