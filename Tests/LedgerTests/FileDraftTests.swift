import Files
import Glibc
import Testing

@testable import Ledger

/// Small files are made under a passing name, and nothing that has it already is taken away but what a process that ended
/// left of one.
@Suite struct FileDraftTests {
    private let fixture: LedgerFixture
    private let path: String
    private let bytes = Array("evidenced thing v1\nkey \(String(repeating: "k", count: 100))\n".utf8)

    init() throws {
        fixture = try LedgerFixture()
        path = fixture.directory + "/thing"
    }

    private var part: String { path + ".part" }

    /// Puts bytes where the draft is to be.
    private func put(_ bytes: [UInt8]) {
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }

    private func create() throws { try FileSystem.create(path, bytes, mode: 0o600) }

    @Test func whatAnEndedProcessLeftIsRemoved() throws {
        let other = Array("evidenced thing v1\nkey other".utf8)
        for left in [[], Array(bytes.prefix(5)), other, bytes, [UInt8](repeating: 0, count: bytes.count)] {
            put(left)
            try create()
            #expect(try FileSystem.read(path, limit: 1 << 20) == bytes && !FileSystem.isTaken(part))
            unlink(path)
        }
    }

    @Test func whatElseHasTheNameStays() throws {
        let foreign: [[UInt8]] = [
            Array("a letter, half downloaded".utf8), Array("evidenced thing v2\n".utf8), bytes + [0], [0, 1],
        ]
        for content in foreign {
            put(content)
            #expect(throws: StartupRefusal.self) { try create() }
            #expect(try FileSystem.read(part, limit: 1 << 20) == content && !FileSystem.isTaken(path))
            unlink(part)
        }
        let target = fixture.directory + "/target"
        for make in [{ symlink(target, $0) }, { mkfifo($0, 0o600) }, { mkdir($0, 0o700) }] as [(String) -> Int32] {
            #expect(make(part) == 0)
            #expect(throws: StartupRefusal.self) { try create() }
            #expect(FileSystem.isTaken(part) && !FileSystem.isTaken(path) && !FileSystem.isTaken(target))
            #expect(remove(part) == 0)
        }
        try create()
    }

    @Test func whatAnotherProcessIsWritingStays() throws {
        put(Array(bytes.prefix(30)))
        let holder = open(part, O_RDWR)
        #expect(flock(holder, LOCK_EX | LOCK_NB) == 0)
        #expect(throws: StartupRefusal.self) { try create() }
        #expect(FileSystem.isTaken(part))
        close(holder)
        try create()
        #expect(!FileSystem.isTaken(part))
    }

    @Test func aNameThatIsTakenKeepsItsFile() throws {
        try create()
        #expect(throws: SystemError("creating \(path)", errno: EEXIST)) { try create() }
        #expect(try FileSystem.read(path, limit: 1 << 20) == bytes && !FileSystem.isTaken(part))
    }

    /// Room is taken for what there is: a limit may be any number.
    @Test func aLimitTakesNoRoom() throws {
        let long = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 251) }
        try FileSystem.create(path, long, mode: 0o600)
        #expect(try FileSystem.read(path, limit: 1 << 60) == long)
        for limit in [0, 1, 65_535, 65_536, 65_537, 131_072, 199_999, 200_000] {
            #expect(try FileSystem.read(path, limit: limit).elementsEqual(long.prefix(limit)))
        }
    }
}
