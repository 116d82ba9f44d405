import Glibc
import LMDB
import Testing

@Suite("The walk over pages")
struct PageWalkTests {
    /// Small values, values on overflow pages, several levels, and pages that became free.
    private func filled() throws -> Store {
        let store = try Store()
        for round in 0..<4 {
            try store.environment.write { transaction in
                for number in 0..<2_000 {
                    let key = Array("\(round)-\(number * 7_919 % 2_000)".utf8)
                    let value = [UInt8](repeating: UInt8(round), count: number % 50 == 0 ? 9_000 : 40)
                    try transaction.set(round == 3 ? store.main : store.other, key, value)
                }
            }
        }
        try store.environment.write { try $0.clear(store.other) }
        return store
    }

    @Test("accepts what LMDB wrote, and its compacted copy")
    func intact() throws {
        let store = try filled()
        try store.environment.checkPages { _, _ in }
        mkdir(store.directory + "/copy", 0o700)
        let copy = open(store.directory + "/copy/data.mdb", O_RDWR | O_CREAT, 0o600)
        try store.environment.copy(to: copy)
        close(copy)
        let copied = try Environment(
            directory: store.directory + "/copy",
            mapBytes: 1 << 20,
            databases: 4,
            access: .reading
        )
        try copied.checkPages { _, _ in }
    }

    /// The header of each page in use, one field at a time; a page nobody uses may be anything.
    @Test("refuses a page with another number, kind or bounds", arguments: [0, 10, 12, 14])
    func damagedHeaders(field: Int) throws {
        let store = try filled()
        let file = open(store.directory + "/data.mdb", O_RDWR)
        defer { close(file) }
        let pages = store.environment.sizes.used / Environment.pageBytes
        var refused = 0
        for page in 2..<pages {
            let offset = off_t(page * Environment.pageBytes + field)
            var byte: UInt8 = 0
            #expect(pread(file, &byte, 1, offset) == 1)
            var damaged = byte ^ 0x55
            #expect(pwrite(file, &damaged, 1, offset) == 1)
            do {
                try store.environment.checkPages { _, _ in }
            } catch let damage as PageDamage {
                refused += 1
                #expect(!damage.what.isEmpty)
            }
            #expect(pwrite(file, &byte, 1, offset) == 1)
        }
        #expect(refused > 20)
        try store.environment.checkPages { _, _ in }
    }

    /// A copy of the data file with some bytes of it changed, opened and checked.
    private func check(_ store: Store, writing bytes: [UInt8], at offset: Int) throws {
        let target = store.directory + "/copy"
        mkdir(target, 0o700)
        let copy = open(target + "/data.mdb", O_RDWR | O_CREAT | O_TRUNC, 0o600)
        defer { close(copy) }
        let file = try contents(store)
        #expect(write(copy, file, file.count) == file.count)
        #expect(pwrite(copy, bytes, bytes.count, off_t(offset)) == bytes.count)
        try Environment(directory: target, mapBytes: 0, databases: 4, access: .reading).checkPages { _, _ in }
    }

    private func contents(_ store: Store) throws -> [UInt8] {
        let file = open(store.directory + "/data.mdb", O_RDONLY)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: store.environment.sizes.used)
        try #require(pread(file, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }

    /// LMDB divides by the page size of a meta page, reads the other where the size says, and maps what it says.
    @Test("comes too late for a wrong page size, last page or map size: opening refuses those", arguments: [0, 1])
    func damagedMeta(page: Int) throws {
        let store = try filled()
        try check(store, writing: [], at: 0)
        let start = page * Environment.pageBytes
        let damages: [(offset: Int, bytes: [UInt8])] = [
            (10, [0]), (16, [0]), (20, [9]), (40, [0, 0, 0, 0]), (40, [0, 0, 0, 0x80]),
            (136, [UInt8](repeating: 0, count: 8)), (39, [2]), (141, [4]), (142, [8]),
        ]
        for damage in damages {
            let refusal = #expect(throws: LMDBError.self) {
                try check(store, writing: damage.bytes, at: start + damage.offset)
            }
            #expect(refusal?.isDamage == true)
        }
    }

    /// LMDB says that the map is too small, however often it is given the size the file states.
    @Test("refuses more pages than the file states room for")
    func tooManyPages() throws {
        let store = try filled()
        for page in 0..<2 {
            let last = page * Environment.pageBytes + 136
            do {
                try check(store, writing: [0, 0, 0, 0, 0, 1], at: last)
            } catch is LMDBError {
                continue
            } catch let damage as PageDamage {
                #expect(damage.what == "it claims pages beyond the end of the file")
            }
        }
    }

    @Test("takes any number for that of a transaction", arguments: [0, 1])
    func highTransaction(page: Int) throws {
        let store = try filled()
        // What the page has for roots is as old as ever, so that may be accepted: it must be said either way.
        let high = [UInt8](repeating: 0xFF, count: 7)
        _ = try? check(store, writing: high, at: page * Environment.pageBytes + 145)
    }

    /// LMDB takes the meta page whose turn it is, so that is the one to be checked.
    @Test("is not misled by a second meta page of the newest transaction")
    func twoMetaPages() throws {
        let store = try filled()
        let file = try contents(store)
        let numbers = (0..<2).map { page in file[page * Environment.pageBytes + 144] }
        let newest = numbers[0] > numbers[1] ? 0 : 1
        // The newest gets a root that is none; the other says it is as new.
        try #require(file[newest * Environment.pageBytes + 145] == 0)
        var metas = Array(file[..<(2 * Environment.pageBytes)])
        metas[newest * Environment.pageBytes + 128] ^= 1
        metas[(1 - newest) * Environment.pageBytes + 144] = numbers[newest]
        #expect(throws: PageDamage.self) { try check(store, writing: metas, at: 0) }
    }

    @Test("refuses a database within a database")
    func nestedDatabase() throws {
        let store = try filled()
        let key = Array("a database".utf8)
        // The description of an empty tree.
        let empty = [UInt8](repeating: 0, count: 40) + [UInt8](repeating: 0xFF, count: 8)
        try store.environment.write { try $0.set(store.main, key, empty) }
        let file = try contents(store)
        // Wherever the row stands, on pages in use or free, it gets the flag.
        var damaged = file
        for start in 0..<file.count - key.count where file[start..<start + key.count].elementsEqual(key) {
            damaged[start - 4] |= 0x02
        }
        try #require(damaged != file)
        #expect(throws: PageDamage.self) { try check(store, writing: damaged, at: 0) }
    }

    /// The row states its own hash: transaction, sum and that, 24 bytes.
    @Test("refuses any wrong bit in the sum of the snapshot before")
    func damagedSum() throws {
        let store = try filled()
        try store.environment.guardPages()
        try store.environment.write { try $0.set(store.main, [1], [1]) }
        let file = try contents(store)
        let key = Array("free pages".utf8)
        let places = (0..<file.count - key.count).filter { file[$0..<$0 + key.count].elementsEqual(key) }
        try #require(!places.isEmpty)
        for place in places.map({ $0 + key.count }) {
            for bit in 0..<24 * 8 {
                let damaged = file[place + bit / 8] ^ 1 << UInt8(bit % 8)
                #expect(throws: PageDamage.self, "bit \(bit)") {
                    try check(store, writing: [damaged], at: place + bit / 8)
                }
            }
        }
    }
}
