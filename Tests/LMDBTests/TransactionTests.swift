import LMDB
import Testing

@Suite("Transactions")
struct TransactionTests {
    @Test("keep what they wrote, and replace only where told to")
    func writing() throws {
        let store = try Store()
        try store.environment.write { transaction throws in
            try transaction.insert(store.main, [2], [20])
            try transaction.set(store.main, [1], [10])
            try transaction.set(store.main, [1], [11])
            try transaction.append(store.other, [1], [])
            // What was written is seen before the commit.
            #expect(try transaction.get(store.main, [1]) == [11])
        }
        #expect(try store.value([1]) == [11])
        #expect(try store.value([2]) == [20])
        #expect(try store.value([3]) == nil)
        #expect(try store.keys(store.other) == [[1]])
        try store.environment.read { transaction throws in
            #expect(try transaction.count(store.main) == 2)
            #expect(try transaction.get(store.other, [1]) == [])
            #expect(try transaction.withValue(store.main, [2]) { $0.count } == 1)
            #expect(try transaction.withValue(store.main, [9]) { $0.count } == nil)
        }
        try store.environment.write { try $0.clear(store.main) }
        #expect(try store.keys(store.main).isEmpty)
        #expect(try store.keys(store.other) == [[1]])
    }

    @Test("refuse to insert a key there is, and to append one that is not the greatest")
    func order() throws {
        let store = try Store()
        try store.fill([5])
        for key: UInt8 in [0, 4, 5] {
            let refusal = #expect(throws: LMDBError.self) {
                try store.environment.write { try $0.append(store.main, [key], [99]) }
            }
            #expect(refusal?.isKeyExists == true, "\(key)")
        }
        try store.environment.write { try $0.append(store.main, [5, 0], [50]) }
        let refusal = #expect(throws: LMDBError.self) {
            try store.environment.write { try $0.insert(store.main, [5], [99]) }
        }
        #expect(refusal?.isKeyExists == true && refusal?.isMapFull == false)
        #expect(try store.value([5]) == [50])
        #expect(try store.keys(store.main) == [[5], [5, 0]])
    }

    @Test("append numbers, and what lies in something larger")
    func spans() throws {
        let store = try Store()
        let bytes: [UInt8] = [1, 2, 3, 4]
        try store.environment.write { transaction throws in
            try transaction.append(store.main, bytes.span.extracting(0..<1), bytes.span.extracting(1..<4))
            try transaction.append(store.other, number: 258, bytes.span.extracting(2..<2))
        }
        #expect(try store.value([1]) == [2, 3, 4])
        #expect(try store.keys(store.other) == [[0, 0, 0, 0, 0, 0, 1, 2]])
        for number: UInt64 in [0, 257, 258] {
            let refusal = #expect(throws: LMDBError.self) {
                try store.environment.write { try $0.append(store.other, number: number, bytes.span) }
            }
            #expect(refusal?.isKeyExists == true)
        }
        let refusal = #expect(throws: LMDBError.self) {
            try store.environment.write { try $0.append(store.main, bytes.span.extracting(0..<1), bytes.span) }
        }
        #expect(refusal?.isKeyExists == true)
        #expect(try store.value([1]) == [2, 3, 4])
    }

    @Test("insert ascending rows before, between and behind those there are, and none twice")
    func ascending() throws {
        let store = try Store()
        func insert(_ keys: [[UInt8]]) throws {
            try store.environment.write { transaction throws in
                try transaction.insert(store.main, ascending: keys.count) { position, key, value in
                    key = keys[position]
                    value = keys[position] + [7]
                }
            }
        }
        try insert([])
        #expect(try store.keys(store.main).isEmpty)
        try insert([[4], [4, 0], [8]])
        try insert([[1], [5], [9], [9, 9], [12]])
        try insert([[13]])
        try insert([[0], [2]])
        let all: [[UInt8]] = [[0], [1], [2], [4], [4, 0], [5], [8], [9], [9, 9], [12], [13]]
        #expect(try store.keys(store.main) == all)
        for key in all { #expect(try store.value(key) == key + [7]) }
        // A key that is there, among those before the last, the last itself, and twice in one go; and one out of order.
        for keys in [[[4]], [[3], [13]], [[13]], [[14], [14]], [[15], [14]], [[3], [5], [20]]] as [[[UInt8]]] {
            let refusal = #expect(throws: LMDBError.self, "\(keys)") { try insert(keys) }
            #expect(refusal?.isKeyExists == true)
        }
        #expect(try store.keys(store.main) == all)
        // Many, over many pages, every other one of them there already.
        func key(_ number: Int) -> [UInt8] { [100, UInt8(number / 256), UInt8(number % 256)] }
        try insert(stride(from: 0, to: 20_000, by: 2).map { key($0) })
        try insert(stride(from: 1, to: 30_000, by: 2).map { key($0) })
        #expect(try store.keys(store.main).dropFirst(all.count).count == 25_000)
        #expect(try store.value(key(29_999)) == key(29_999) + [7])
    }

    @Test("that end in an error leave nothing behind")
    func abandoned() throws {
        let store = try Store()
        try store.fill([1])
        #expect(throws: Abandoned.self) {
            try store.environment.write { transaction throws in
                try transaction.set(store.main, [1], [99])
                try transaction.set(store.main, [2], [99])
                try transaction.clear(store.other)
                throw Abandoned()
            }
        }
        #expect(throws: Abandoned.self) { try store.environment.read { _ in throw Abandoned() } }
        #expect(try store.keys(store.main) == [[1]])
        #expect(try store.value([1]) == [10])
        // And the next one is not held up.
        try store.fill([3])
        #expect(try store.keys(store.main) == [[1], [3]])
    }

    @Test("that read see one state from their beginning to their end")
    func isolation() throws {
        let store = try Store()
        try store.fill([1])
        try store.environment.read { snapshot throws in
            #expect(try snapshot.get(store.main, [1]) == [10])
            try store.environment.write { transaction throws in
                try transaction.set(store.main, [1], [99])
                try transaction.set(store.main, [2], [99])
            }
            #expect(try snapshot.get(store.main, [1]) == [10])
            #expect(try snapshot.get(store.main, [2]) == nil)
            #expect(try snapshot.count(store.main) == 1)
            // One begun inside sees the new state.
            #expect(try store.value([2]) == [99])
        }
        // The reader that is used again is a new snapshot.
        #expect(try store.value([1]) == [99])
    }

    @Test("do not take keys that LMDB can't hold")
    func keyLengths() throws {
        let store = try Store()
        for count in [0, 512] {
            #expect(throws: LMDBError.self, "\(count)") {
                try store.environment.write { try $0.set(store.main, [UInt8](repeating: 1, count: count), [1]) }
            }
        }
        let longest = [UInt8](repeating: 1, count: 511)
        let value = [UInt8](repeating: 7, count: 200_000)
        try store.environment.write { try $0.set(store.main, longest, value) }
        #expect(try store.value(longest) == value)
    }
}
