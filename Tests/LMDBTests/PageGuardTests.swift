import Glibc
import LMDB
import Testing

@Suite("The guard over pages")
struct PageGuardTests {
    private static let names = ["main", "other"]

    /// An environment that lists pages as free, some of large values, and was always guarded. It is closed again.
    private func filled() throws -> Copy {
        let copy = try Copy()
        let environment = try copy.open()
        try environment.guardPages()
        let databases = try environment.databases(PageGuardTests.names, create: true)
        for round in 0..<8 {
            try environment.write { transaction in
                for number in 0..<200 {
                    let key = Array("\(number * 7_919 % 200)".utf8)
                    let value = [UInt8](repeating: UInt8(round), count: number % 50 == 0 ? 9_000 : 40)
                    try transaction.set(databases[round % 2], key, value)
                }
            }
        }
        return copy
    }

    @Test("proves what was written under it by the snapshot before, however a transaction ended")
    func proves() throws {
        let copy = try filled()
        for round in 0..<6 {
            let environment = try copy.open()
            #expect(try !environment.guardPages(), "\(round)")
            let databases = try environment.databases(PageGuardTests.names, create: true)
            try environment.write { try $0.set(databases[0], [UInt8(round)], [1]) }
            #expect(throws: Abandoned.self) {
                try environment.write { transaction throws in
                    try transaction.clear(databases[0])
                    throw Abandoned()
                }
            }
            // Nothing is written, so there is no new snapshot.
            try environment.write { _ in }
            switch round {
            case 1: try environment.write { try $0.clear(databases[1]) }
            case 3: try environment.write { try $0.set(databases[1], [1], [UInt8](repeating: 1, count: 100_000)) }
            default: break
            }
        }
    }

    @Test("checks every page of a file that others have written, and of a copy")
    func walks() throws {
        let copy = try filled()
        do {
            // Without the guard there is no sum.
            let environment = try copy.open()
            let databases = try environment.databases(PageGuardTests.names, create: false)
            try environment.write { try $0.set(databases[0], [1], [1]) }
        }
        #expect(try copy.open().guardPages())
        try copy.compact()
        #expect(try copy.open().guardPages())
    }

    /// Each bit of each number in each list: the page it then names is in use, listed twice, out of order or none. A wrong
    /// bit that only the snapshot before has does no harm to the newest, which is then shown by a walk over all pages.
    @Test("refuses every wrong bit in the lists of free pages and what leads to them")
    func freePages() throws {
        let copy = try filled()
        let good = try copy.contents()
        let listed = copy.freeLists(good)
        let newest = Set(copy.freeLists(good, newestAlone: true))
        try #require(newest.count > 20 && listed.count > newest.count)
        for offset in listed {
            for bit in 0..<24 {
                let place = offset + bit / 8
                try copy.put(good[place] ^ 1 << UInt8(bit % 8), at: place)
                if newest.contains(offset) {
                    #expect(throws: PageDamage.self, "\(offset), bit \(bit)") { try copy.open().guardPages() }
                } else {
                    #expect(try copy.open().guardPages(), "\(offset), bit \(bit)")
                }
                try copy.put(good[place], at: place)
            }
        }
        #expect(try !copy.open().guardPages())
    }

    /// A record too long for a page of the tree lies beside it, and stays as it is while a reader keeps it from being
    /// used: both snapshots name it, so that comparing them shows nothing. What was summed up does.
    @Test("refuses a wrong bit in a list that both snapshots have")
    func sharedLists() throws {
        let copy = try filled()
        do {
            let environment = try copy.open()
            try environment.guardPages()
            let databases = try environment.databases(PageGuardTests.names, create: false)
            try environment.write { transaction in
                for number in 0..<400 {
                    try transaction.set(
                        databases[0],
                        Array("large \(number)".utf8),
                        [UInt8](repeating: 1, count: 3_000)
                    )
                }
            }
            try environment.read { _ in
                try environment.write { try $0.clear(databases[0]) }
                for round in 0..<2 {
                    try environment.write { try $0.set(databases[1], [UInt8(round)], [1]) }
                }
            }
        }
        let good = try copy.contents()
        let newest = Set(copy.freeLists(good, newestAlone: true))
        let shared = newest.intersection(copy.freeLists(good, oldestAlone: true)).sorted()
        try #require(shared.count > 200)
        for offset in stride(from: 0, to: shared.count, by: 17).map({ shared[$0] }) {
            for bit in 0..<12 {
                let place = offset + bit / 8
                try copy.put(good[place] ^ 1 << UInt8(bit % 8), at: place)
                #expect(throws: PageDamage.self, "\(offset), bit \(bit)") { try copy.open().guardPages() }
                try copy.put(good[place], at: place)
            }
        }
        #expect(try !copy.open().guardPages())
    }

    /// Whoever takes it first, the other takes it too.
    @Test("refuses a page that is listed as free twice")
    func listedTwice() throws {
        let copy = try filled()
        let good = try copy.contents()
        let listed = copy.freeLists(good, newestAlone: true).map { ($0, copy.word(good, $0)) }
        var tried = 0
        for (previous, ((offset, _), next)) in zip(listed, zip(listed.dropFirst(), listed.dropFirst(2))) {
            // In falling order still, so that nothing but the second place is wrong.
            guard let twice = listed.first(where: { $0.1 < previous.1 && $0.1 > next.1 && $0.0 != offset })?.1 else {
                continue
            }
            var damaged = good
            withUnsafeBytes(of: UInt64(twice).littleEndian) { damaged.replaceSubrange(offset..<offset + 8, with: $0) }
            try copy.damage(damaged, at: 0, by: 0)
            #expect(throws: PageDamage.self) { try copy.open().checkPages { _, _ in } }
            #expect(throws: PageDamage.self) { try copy.open().guardPages() }
            tried += 1
        }
        #expect(tried > 3)
    }

    /// A page number that is too low makes LMDB write over the pages behind it; roots and counts lead elsewhere.
    @Test("refuses a wrong bit in a meta page, or nothing is lost by it", arguments: [0, 1])
    func metaPages(page: Int) throws {
        let copy = try filled()
        let good = try copy.contents()
        let rows = try copy.rows()
        var refused = 0
        for offset in 40..<152 {
            for bit in 0..<8 {
                try copy.damage(good, at: page * Environment.pageBytes + offset, by: 1 << UInt8(bit))
                do {
                    let environment = try copy.open()
                    try environment.guardPages()
                    // What an older snapshot lacks shows elsewhere; what is there must outlive more transactions.
                    let before = try copy.rows(environment)
                    for round in 0..<6 {
                        let databases = try environment.databases(PageGuardTests.names, create: false)
                        try environment.write { try $0.set(databases[0], [0, UInt8(round)], [1]) }
                    }
                    let after = try copy.rows(environment).filter { $0.key.count != 3 || $0.key[1] != 0 }
                    #expect(after == before, "\(offset), bit \(bit)")
                } catch is PageDamage {
                    refused += 1
                } catch is LMDBError {
                    refused += 1
                }
            }
        }
        // Of the page before the newest, what is wrong is mostly no matter, for the newest is walked whole then.
        let newest = copy.word(good, 144) > copy.word(good, Environment.pageBytes + 144) ? 0 : 1
        #expect(refused > (page == newest ? 200 : 20))
        #expect(!rows.isEmpty)
    }

    @Test("refuses to write once the list is another than was left")
    func whileItRuns() throws {
        let copy = try filled()
        let environment = try copy.open()
        try environment.guardPages()
        let databases = try environment.databases(PageGuardTests.names, create: false)
        func write() throws { try environment.write { try $0.set(databases[0], [1], [1]) } }
        for _ in 0..<4 { try write() }
        let good = try copy.contents()
        let listed = copy.freeLists(good, newestAlone: true)
        try #require(listed.count > 20)
        for offset in listed {
            try copy.put(good[offset] ^ 1, at: offset)
            #expect(throws: PageDamage.self, "\(offset)") { try write() }
            try copy.put(good[offset], at: offset)
        }
        try write()
    }

    /// LMDB would follow the other's transaction, and take pages from a list nobody has looked at.
    @Test("refuses to write once somebody else has")
    func afterAnother() throws {
        let copy = try filled()
        let environment = try copy.open()
        try environment.guardPages()
        let databases = try environment.databases(PageGuardTests.names, create: false)
        func write() throws { try environment.write { try $0.set(databases[0], [1], [1]) } }
        try write()
        do {
            let other = try copy.open()
            let databases = try other.databases(PageGuardTests.names, create: false)
            try other.write { try $0.set(databases[0], [2], [2]) }
        }
        let left = try copy.contents()
        let refusal = #expect(throws: LMDBError.self) { try write() }
        #expect(refusal?.isDamage == true)
        #expect(try copy.contents() == left)
    }

    /// Many records, so that the list is a tree with branches, and one of many pages, which lies beside it. The reader keeps
    /// all of them from being used.
    @Test("refuses to write once a bit of a long list turned, wherever it lies")
    func longList() throws {
        let copy = try filled()
        let environment = try copy.open(mapBytes: 32 << 20)
        try environment.guardPages()
        let databases = try environment.databases(PageGuardTests.names, create: false)
        func write(_ round: Int) throws {
            try environment.write { transaction in
                for number in 0..<10 {
                    let key = Array("\((round * 10 + number) * 7_919 % 200)".utf8)
                    try transaction.set(
                        databases[round % 2],
                        key,
                        [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 40)
                    )
                }
            }
        }
        try environment.write { transaction in
            for number in 0..<400 {
                let key = Array("large \(number)".utf8)
                try transaction.set(databases[0], key, [UInt8](repeating: 1, count: 3_000))
            }
        }
        try environment.read { _ in
            try environment.write { try $0.clear(databases[0]) }
            for round in 0..<300 { try write(round) }
            let good = try copy.contents()
            let pages = copy.pagesOfFreeList(good)
            try #require(pages.tree.count > 3 && pages.large.count == 1)
            // Of each page a bit at each of some places; of the large one, which ends before its pages do, the beginning.
            let places =
                pages.tree.flatMap { page in stride(from: 0, to: 4_096, by: 409).map { page * 4_096 + $0 } }
                + pages.large.flatMap { page in stride(from: 0, to: 3_200, by: 97).map { page * 4_096 + $0 } }
            for place in places {
                try copy.put(good[place] ^ 0x10, at: place)
                #expect(throws: PageDamage.self, "\(place)") { try write(0) }
                try copy.put(good[place], at: place)
            }
        }
        // They are used up by and by, and each that is left is known.
        for round in 0..<20 { try write(round) }
        #expect(try !copy.open().guardPages())
    }
}

/// A directory with an environment that is opened and damaged again and again.
private final class Copy {
    private let directory: String

    init() throws {
        var template = Array("/tmp/evidenced-test-XXXXXX".utf8CString)
        directory = try template.withUnsafeMutableBufferPointer { buffer in
            try #require(buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) })
        }
    }

    deinit {
        for name in ["data.mdb", "lock.mdb", "compact"] { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    func open(mapBytes: Int = 4 << 20) throws -> Environment {
        try Environment(directory: directory, mapBytes: mapBytes, databases: 4)
    }

    func contents() throws -> [UInt8] {
        let file = Glibc.open(directory + "/data.mdb", O_RDONLY)
        defer { close(file) }
        var status = stat()
        try #require(fstat(file, &status) == 0)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        bytes.removeLast(bytes.count - pread(file, &bytes, bytes.count, 0))
        return bytes
    }

    /// Writes a file again, with some bits of one byte turned.
    func damage(_ good: [UInt8], at offset: Int, by bits: UInt8) throws {
        let file = Glibc.open(directory + "/data.mdb", O_RDWR)
        defer { close(file) }
        var damaged = good
        damaged[offset] ^= bits
        try #require(pwrite(file, damaged, damaged.count, 0) == damaged.count)
    }

    func put(_ byte: UInt8, at offset: Int) throws {
        let file = Glibc.open(directory + "/data.mdb", O_RDWR)
        defer { close(file) }
        var byte = byte
        try #require(pwrite(file, &byte, 1, off_t(offset)) == 1)
    }

    func compact() throws {
        let path = directory + "/compact"
        let file = Glibc.open(path, O_RDWR | O_CREAT, 0o600)
        try open().copy(to: file)
        close(file)
        rename(path, directory + "/data.mdb")
    }

    /// Every row, the name of its database first.
    func rows(_ environment: Environment? = nil) throws -> [[UInt8]: [UInt8]] {
        let environment = try environment ?? open()
        var rows: [[UInt8]: [UInt8]] = [:]
        for (number, database) in try environment.databases(["main", "other"], create: false).enumerated() {
            try environment.read { transaction in
                try transaction.forEach(database) { key, value in rows[[UInt8(number)] + key] = Array(value) }
            }
        }
        return rows
    }

    func word(_ file: [UInt8], _ offset: Int) -> Int {
        (0..<8).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
    }

    /// The pages the newest list of free pages lies on: those of its tree, and the first of each record beside it.
    func pagesOfFreeList(_ file: [UInt8]) -> (tree: [Int], large: [Int]) {
        func half(_ offset: Int) -> Int { Int(file[offset]) | Int(file[offset + 1]) << 8 }
        var found: (tree: [Int], large: [Int]) = ([], [])
        func walk(_ page: Int, height: Int) {
            found.tree.append(page)
            let start = page * Environment.pageBytes
            for node in 0..<(half(start + 12) - 16) / 2 {
                let offset = start + half(start + 16 + 2 * node)
                if height > 1 {
                    walk(half(offset) | half(offset + 2) << 16, height: height - 1)
                } else if half(offset + 4) & 1 != 0 {
                    found.large.append(word(file, offset + 8 + half(offset + 6)))
                }
            }
        }
        let newest = word(file, 144) > word(file, Environment.pageBytes + 144) ? 0 : Environment.pageBytes
        walk(word(file, newest + 80), height: half(newest + 46))
        return found
    }

    /// Where in the file the numbers of free pages stand, of the newest snapshot and the one before, read by the layout
    /// of a tree that is a single leaf.
    func freeLists(_ file: [UInt8], newestAlone: Bool = false, oldestAlone: Bool = false) -> [Int] {
        func word(_ offset: Int) -> Int { self.word(file, offset) }
        func half(_ offset: Int) -> Int { Int(file[offset]) | Int(file[offset + 1]) << 8 }
        var found: Set<Int> = []
        let newest = word(144) > word(Environment.pageBytes + 144) ? 0 : 1
        for page in newestAlone ? [newest] : oldestAlone ? [1 - newest] : [0, 1] {
            let root = word(page * Environment.pageBytes + 80)
            guard root != -1 else { continue }
            let start = root * Environment.pageBytes
            for node in 0..<(half(start + 12) - 16) / 2 {
                let offset = start + half(start + 16 + 2 * node)
                let size = half(offset) | half(offset + 2) << 16
                var value = offset + 8 + half(offset + 6)
                if half(offset + 4) & 1 != 0 { value = word(value) * Environment.pageBytes + 16 }
                found.formUnion((1..<size / 8).map { value + 8 * $0 })
            }
        }
        return found.sorted()
    }
}
