import Dispatch
import Glibc
import LMDB
import Synchronization
import Testing

@Suite("Environments")
struct EnvironmentTests {
    @Test("that are full refuse a transaction whole, and go on once the map has grown")
    func mapFull() throws {
        let store = try Store(mapBytes: 1 << 20)
        try store.fill([1])
        let value = [UInt8](repeating: 7, count: 100_000)
        func writeMany() throws {
            try store.environment.write { transaction throws in
                for key: UInt8 in 10..<40 { try transaction.set(store.main, [key], value) }
            }
        }
        let refusal = #expect(throws: LMDBError.self) { try writeMany() }
        #expect(refusal?.isMapFull == true)
        #expect(try store.keys(store.main) == [[1]])

        try store.environment.resizeMap(bytes: 8 << 20)
        #expect(store.environment.sizes.map == 8 << 20)
        try writeMany()
        #expect(try store.keys(store.main).count == 31)
        #expect(try store.value([39]) == value)
        #expect(store.environment.sizes.used > 3_000_000)
    }

    @Test("are present until their files are closed")
    func presence() throws {
        let store = try Store()
        let directory = store.directory + "/other"
        mkdir(directory, 0o700)
        for _ in 0..<300 {
            let open = Held(try Environment(directory: directory, mapBytes: 1 << 20, databases: 1, ownReaders: 4))
            let presence = open.presence
            DispatchQueue.global().async { open.drop() }
            while presence.isThere {}
            #expect(descriptors(of: directory + "/data.mdb") == 0)
        }
    }

    /// An environment that one thread drops, while another looks whether it is there.
    private final class Held: @unchecked Sendable {
        // Sendable: the one thread that drops it touches it after it was made.
        private var environment: Environment?
        let presence: Watched

        init(_ environment: Environment) {
            self.environment = environment
            presence = Watched(environment.presence)
        }

        func drop() { environment = nil }
    }

    private final class Watched: @unchecked Sendable {
        // Sendable: a weak reference is read atomically, and nobody sets it.
        private weak var presence: Environment.Presence?

        init(_ presence: Environment.Presence) { self.presence = presence }

        var isThere: Bool { presence != nil }
    }

    /// How many descriptors of this process are of a file.
    private func descriptors(of path: String) -> Int {
        (0..<1_024).count { descriptor in
            var link = [UInt8](repeating: 0, count: 4_096)
            let count = link.withUnsafeMutableBytes { room in
                room.baseAddress.map {
                    readlink("/proc/self/fd/\(descriptor)", $0.assumingMemoryBound(to: CChar.self), room.count)
                } ?? -1
            }
            return count > 0 && link[..<count].elementsEqual(path.utf8)
        }
    }

    @Test("resize only when no transaction is open")
    func resizeWaits() throws {
        let store = try Store()
        try store.fill([1])
        let resized = Mutex(false)
        let started = DispatchSemaphore(value: 0)
        let done = DispatchSemaphore(value: 0)
        let environment = store.environment
        try environment.read { transaction throws in
            DispatchQueue.global().async {
                started.signal()
                try? environment.resizeMap(bytes: 32 << 20)
                resized.withLock { $0 = true }
                done.signal()
            }
            started.wait()
            usleep(50_000)
            #expect(!resized.withLock { $0 })
            #expect(try transaction.get(store.main, [1]) == [10])
        }
        done.wait()
        #expect(environment.sizes.map == 32 << 20)
        #expect(try store.value([1]) == [10])
    }

    @Test("give each of many threads a state that one write left")
    func threads() throws {
        let store = try Store()
        let environment = store.environment
        let (main, other) = (store.main, store.other)
        try environment.write { transaction throws in
            try transaction.set(main, [0], [0])
            try transaction.set(other, [0], [0])
        }
        let torn = Mutex(0)
        let reads = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for round in 0..<200 {
                if thread == 0 {
                    try? environment.write { transaction throws in
                        try transaction.set(main, [0], [UInt8(round)])
                        try transaction.set(other, [0], [UInt8(round)])
                    }
                } else {
                    try? environment.read { transaction throws in
                        let pair = (try transaction.get(main, [0]), try transaction.get(other, [0]))
                        reads.withLock { $0 += 1 }
                        if pair.0 != pair.1 { torn.withLock { $0 += 1 } }
                    }
                }
            }
        }
        #expect(torn.withLock { $0 } == 0 && reads.withLock { $0 } == 7 * 200)
    }

    @Test("say their sizes while another thread gives the map another size")
    func sizesWhileResizing() throws {
        let store = try Store()
        try store.fill([1])
        let environment = store.environment
        let isWrong = Atomic<Bool>(false)
        DispatchQueue.concurrentPerform(iterations: 2) { thread in
            for round in 0..<20_000 {
                if thread == 1 {
                    if environment.sizes.used == 0 { isWrong.store(true, ordering: .relaxed) }
                } else if round % 10 == 0 {
                    try? environment.resizeMap(bytes: (round / 10 % 2 + 1) << 24)
                }
            }
        }
        let wasWrong = isWrong.load(ordering: .relaxed)
        #expect(!wasWrong)
    }

    @Test("lend out no more readers than they have, and get each one back")
    func readerSlots() throws {
        let store = try Store(readers: 2)
        try store.fill([1])
        for _ in 0..<50 { #expect(try store.value([1]) == [10]) }
        try store.environment.read { _ in
            try store.environment.read { _ in
                _ = #expect(throws: LMDBError.self) { try store.environment.read { _ in } }
            }
        }
        #expect(try store.value([1]) == [10])
        #expect(store.environment.reapReaders() == 0)
    }

    @Test("are copied whole while a reader is on them")
    func copy() throws {
        let store = try Store()
        try store.fill(Array(1...200))
        let target = store.directory + "/copy"
        try #require(mkdir(target, 0o700) == 0)
        let descriptor = open(target + "/data.mdb", O_CREAT | O_WRONLY, 0o600)
        try #require(descriptor >= 0)
        try store.environment.read { _ in try store.environment.copy(to: descriptor) }
        close(descriptor)
        // What is written afterwards is not in the copy.
        try store.fill([201])

        let copied = try Environment(directory: target, mapBytes: 16 << 20, databases: 4, access: .reading)
        let database = try copied.databases(["main"], create: false)[0]
        try copied.read { transaction throws in
            #expect(try transaction.count(database) == 200)
            #expect(try transaction.get(database, [7]) == [70])
        }
    }

    @Test("opened for reading only refuse every write")
    func readOnly() throws {
        let store = try Store()
        try store.fill([1])
        let target = store.directory + "/copy"
        try #require(mkdir(target, 0o700) == 0)
        let descriptor = open(target + "/data.mdb", O_CREAT | O_WRONLY, 0o600)
        try store.environment.copy(to: descriptor)
        close(descriptor)

        let copied = try Environment(directory: target, mapBytes: 16 << 20, databases: 4, access: .reading)
        let database = try copied.databases(["main"], create: false)[0]
        let refusal = #expect(throws: LMDBError.self) {
            try copied.write { try $0.set(database, [1], [1]) }
        }
        #expect(refusal?.code == EACCES)
        #expect(throws: LMDBError.self) { try copied.databases(["new"], create: true) }
        #expect(throws: LMDBError.self) { try copied.databases(["missing"], create: false) }
        #expect(try copied.read { try $0.get(database, [1]) } == [10])
    }

    @Test("extend their file with blocks of its own and stay as they were")
    func extending() throws {
        let store = try Store()
        try store.fill([1])
        let wanted = (3 << 20) + 4_096
        try store.environment.reserveFile(to: wanted)
        #expect(store.environment.fileBytes == wanted)
        var status = stat()
        try #require(stat(store.directory + "/data.mdb", &status) == 0)
        #expect(Int(status.st_blocks) * 512 >= wanted)
        // A smaller size changes nothing.
        try store.environment.reserveFile(to: 1)
        #expect(store.environment.fileBytes == wanted)
        try store.fill([2])
        #expect(try store.keys(store.main) == [[1], [2]])
        #expect(store.environment.fileBytes == wanted)
        // What lies in it is kept, and a file that cannot grow is as usable as before.
        let refusal = #expect(throws: LMDBError.self) { try store.environment.reserveFile(to: .max) }
        #expect(refusal.map { [EFBIG, ENOSPC, EINVAL].contains($0.code) } == true)
        #expect(store.environment.fileBytes == wanted)
        try store.fill([3])
        #expect(try store.keys(store.main) == [[1], [2], [3]])
    }

    @Test("give blocks to the holes of a file that was copied sparse")
    func holes() throws {
        let store = try Store()
        try store.fill([1])
        let length = 4 << 20
        let path = store.directory + "/data.mdb"
        try #require(truncate(path, off_t(length)) == 0)
        var status = stat()
        try #require(stat(path, &status) == 0)
        try #require(Int(status.st_blocks) * 512 < length / 2)
        try store.environment.reserveFile(to: length)
        try #require(stat(path, &status) == 0)
        #expect(Int(status.st_blocks) * 512 >= length - 65_536)
        #expect(Int(status.st_size) == length)
        #expect(try store.keys(store.main) == [[1]])
    }

    /// What one thread learned of the pages in use is no longer so once another has committed.
    @Test("write nothing ahead over what another thread has committed meanwhile")
    func writingAheadBesideWrites() throws {
        let store = try Store()
        try store.fill([1])
        let (environment, other) = (store.environment, store.other)
        try environment.reserveFile(to: 8 << 20)
        let isDone = Mutex(false)
        let ended = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            while !isDone.withLock({ $0 }) {
                let start = environment.sizes.used
                usleep(100)
                try? environment.prewrite(from: start, count: 64 << 10)
            }
            ended.signal()
        }
        for number in UInt8(0)..<200 {
            try environment.write { try $0.set(other, [number], [UInt8](repeating: number, count: 3_000)) }
        }
        isDone.withLock { $0 = true }
        ended.wait()
        try environment.checkPages { _, _ in }
        for number in UInt8(0)..<200 {
            let found = try environment.read { try $0.get(other, [number]) }
            #expect(found == [UInt8](repeating: number, count: 3_000))
        }
    }

    @Test("write ahead behind all pages in use and stay as they were")
    func writingAhead() throws {
        let store = try Store()
        try store.fill([1, 2])
        try store.environment.reserveFile(to: 2 << 20)
        let start = store.environment.sizes.used
        try store.environment.prewrite(from: start, count: (2 << 20) - start)
        #expect(store.environment.fileBytes == 2 << 20)
        #expect(try store.keys(store.main) == [[1], [2]])
        try store.environment.checkPages { _, _ in }
        // Pages that go there are written over the zeros.
        let value = [UInt8](repeating: 7, count: 300_000)
        try store.environment.write { try $0.set(store.other, [1], value) }
        #expect(store.environment.sizes.used > start)
        #expect(try store.environment.read { try $0.get(store.other, [1]) } == value)
        #expect(try store.keys(store.main) == [[1], [2]])
        try store.environment.checkPages { _, _ in }
    }

    @Test("are there again when opened anew")
    func reopening() throws {
        let store = try Store()
        let target = store.directory + "/copy"
        try #require(mkdir(target, 0o700) == 0)
        for round: UInt8 in 1...3 {
            let environment = try Environment(directory: target, mapBytes: 1 << 20, databases: 1)
            let database = try environment.databases(["kept"], create: true)[0]
            try environment.write { try $0.append(database, [round], [round]) }
            #expect(try environment.read { try $0.count(database) } == Int(round))
        }
    }

    @Test("that can't be opened say why")
    func openingFails() throws {
        let store = try Store()
        let missing = #expect(throws: LMDBError.self) {
            try Environment(directory: store.directory + "/missing", mapBytes: 1 << 20, databases: 1)
        }
        #expect(missing?.code == ENOENT)
        #expect(missing?.description.hasSuffix("No such file or directory") == true)

        let target = store.directory + "/copy"
        try #require(mkdir(target, 0o700) == 0)
        let descriptor = open(target + "/data.mdb", O_CREAT | O_WRONLY, 0o600)
        let noise = [UInt8](repeating: 0x5A, count: 8_192)
        try #require(write(descriptor, noise, noise.count) == noise.count)
        close(descriptor)
        #expect(throws: LMDBError.self) { try Environment(directory: target, mapBytes: 1 << 20, databases: 1) }
    }

    @Test("name their library")
    func version() {
        #expect(Environment.libraryVersion.wholeMatch(of: /LMDB [0-9]+\.[0-9]+\.[0-9]+/) != nil)
    }
}
