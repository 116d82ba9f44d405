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
            readOnly: true
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
}
