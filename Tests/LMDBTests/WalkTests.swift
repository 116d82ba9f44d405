import LMDB
import Testing

@Suite("Walks")
struct WalkTests {
    private static func key(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) } }

    /// Stores under each number its decimal digits.
    private func fill(_ store: Store, _ numbers: some Sequence<UInt64>) throws {
        try store.environment.write { transaction throws in
            for number in numbers {
                let digits = Array("\(number)".utf8)
                try transaction.append(store.main, number: number, digits.span)
            }
        }
    }

    private func walk(_ store: Store, from first: UInt64, count: Int) throws -> [String?] {
        try store.environment.read { transaction throws in
            var found: [String?] = []
            try transaction.forEach(store.main, from: first, count: count) { number, value in
                #expect(number == first + UInt64(found.count))
                found.append(value.map { String(decoding: $0, as: UTF8.self) })
            }
            return found
        }
    }

    @Test("over numbers that follow one another see each, gaps included")
    func gaps() throws {
        let store = try Store()
        let numbers: [UInt64] = [0, 1, 2, 5, 6, 9, 255, 256, 257, 300, 65_535, 65_536]
        try fill(store, numbers)
        for (first, count) in [(0, 1), (0, 12), (3, 1), (3, 2), (3, 3), (2, 10), (250, 60), (65_530, 20), (70_000, 5)] {
            let range = UInt64(first)..<UInt64(first + count)
            #expect(
                try walk(store, from: UInt64(first), count: count)
                    == range.map { numbers.contains($0) ? "\($0)" : nil },
                "\(first), \(count)"
            )
        }
        #expect(try walk(store, from: 0, count: 0).isEmpty)
        #expect(try walk(store, from: 0, count: 66_000).compactMap { $0 } == numbers.map { "\($0)" })
    }

    @Test("over numbers take no key of another length for one")
    func otherKeys() throws {
        let store = try Store()
        try store.environment.write { transaction throws in
            for key in [[], [0], [7]].map({ WalkTests.key(1) + $0 }) + [WalkTests.key(3)] + [[0, 0], [9]] {
                try transaction.set(store.main, key, Array("\(key.count)".utf8))
            }
        }
        #expect(try walk(store, from: 0, count: 5) == [nil, "8", nil, "8", nil])
    }

    @Test("over numbers see many pages, and an empty database")
    func pages() throws {
        let store = try Store()
        #expect(try walk(store, from: 0, count: 3) == [nil, nil, nil])
        try fill(store, 0..<20_000)
        #expect(try walk(store, from: 0, count: 20_001) == (0..<20_000).map { "\($0)" } + [nil])
        #expect(try walk(store, from: 19_999, count: 1) == ["19999"])
    }

    @Test("over a database see every key in order, and end where the closure throws")
    func everything() throws {
        let store = try Store()
        var found: [[UInt8]] = []
        func walk() throws {
            found = []
            try store.environment.read { transaction throws in
                try transaction.forEach(store.main) { key, value in
                    #expect(value.elementsEqual([key[0] &* 10]))
                    found.append(Array(key))
                    if key[0] == 99 { throw Abandoned() }
                }
            }
        }
        try walk()
        #expect(found.isEmpty)
        try store.fill([200, 3, 1, 98])
        try walk()
        #expect(found == [[1], [3], [98], [200]])
        try store.fill([99])
        #expect(throws: Abandoned.self) { try walk() }
        #expect(found == [[1], [3], [98], [99]])
        // The cursor of the walk that ended early is closed: the store can be written and read again.
        try store.fill([2])
        #expect(try store.keys(store.main).count == 6)
    }

    @Test("by a cursor of numbers find what look-ups find, in any order")
    func numberCursor() throws {
        let store = try Store()
        try fill(store, (0..<3_000).map { $0 * 3 })
        try store.environment.read { transaction throws in
            try transaction.numbers(in: store.main) { cursor throws in
                for number in [0, 3, 6, 7, 8_997, 8_998, 9_000, 4_500, 4_497, 4_497, 1, 2, 3, .max] as [UInt64] {
                    let found = try cursor.withValue(number) { String(decoding: $0, as: UTF8.self) }
                    #expect(found == (number % 3 == 0 && number < 9_000 ? "\(number)" : nil))
                    let lookedUp = try transaction.withValue(store.main, number: number) {
                        String(decoding: $0, as: UTF8.self)
                    }
                    #expect(lookedUp == found)
                }
            }
            try transaction.numbers(in: store.other) { cursor throws in
                #expect(try cursor.withValue(0) { _ in true } == nil)
            }
        }
    }
}
