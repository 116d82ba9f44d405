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

    @Test("are not the only way to numbers: they are stored and read as eight bytes")
    func numbers() throws {
        let store = try Store()
        let key: [UInt8] = [3]
        let value: [UInt8] = [9, 9]
        let empty: [UInt8] = []
        try store.environment.write { transaction throws in
            try transaction.insert(store.main, [1], number: 258)
            try transaction.insert(store.main, [2], number: 3)
            try transaction.append(store.main, key.span, value.span)
            try transaction.append(store.other, number: 7, empty.span)
        }
        #expect(try store.value([1]) == WalkTests.key(258))
        #expect(try store.value([2]) == WalkTests.key(3))
        #expect(try store.value([3]) == [9, 9])
        try store.environment.read { transaction throws in
            #expect(try transaction.withValue(store.other, number: 7) { $0.count } == 0)
            #expect(try transaction.withValue(store.other, number: 8) { $0.count } == nil)
        }
        let refusals: [(borrowing WriteTransaction) throws -> Void] = [
            { try $0.insert(store.main, [1], number: 1) },
            { try $0.append(store.main, key.span, value.span) },
            { try $0.append(store.other, number: 7, empty.span) },
            { try $0.append(store.other, number: 6, empty.span) },
        ]
        for refused in refusals {
            let refusal = #expect(throws: LMDBError.self) { try store.environment.write { try refused($0) } }
            #expect(refusal?.isKeyExists == true)
        }
        #expect(try store.value([1]) == WalkTests.key(258))
    }

    @Test("see rows stored in ascending order, before, around and behind others")
    func ascending() throws {
        let store = try Store()
        try store.fill([50])
        func insert(_ keys: [UInt8]) throws {
            try store.environment.write { transaction throws in
                try transaction.insert(store.main, ascending: keys.count) { position, key, value in
                    key = [keys[position]]
                    value = [keys[position] &* 10]
                }
            }
        }
        // Before, around and behind what there is.
        try insert([10, 49, 51, 60])
        try insert([55, 61, 62])
        try insert([])
        #expect(try store.keys(store.main) == [[10], [49], [50], [51], [55], [60], [61], [62]])
        #expect(try store.value([62]) == [62 &* 10])
        for keys in [[49], [62], [70, 70], [71, 70]] as [[UInt8]] {
            let refusal = #expect(throws: LMDBError.self) { try insert(keys) }
            #expect(refusal?.isKeyExists == true, "\(keys)")
        }
        #expect(try store.keys(store.main).count == 8)
    }

    @Test("no longer see a key that was removed")
    func removal() throws {
        let store = try Store()
        try store.fill([1, 2, 3])
        try store.environment.write { transaction throws in
            try transaction.remove(store.main, [2])
            #expect(try transaction.get(store.main, [2]) == nil)
            // And it may come back in the same transaction.
            try transaction.remove(store.main, [3])
            try transaction.insert(store.main, [3], [33])
        }
        #expect(try store.keys(store.main) == [[1], [3]])
        #expect(try store.value([3]) == [33])
        for key in [[2], [0], [9]] as [[UInt8]] {
            #expect(throws: LMDBError.self) { try store.environment.write { try $0.remove(store.main, key) } }
        }
        #expect(throws: Abandoned.self) {
            try store.environment.write { transaction throws in
                try transaction.remove(store.main, [1])
                throw Abandoned()
            }
        }
        #expect(try store.keys(store.main) == [[1], [3]])
    }
}
