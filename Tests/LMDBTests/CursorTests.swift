import LMDB
import Testing

@Suite("Cursors")
struct CursorTests {
    @Test("walk both ways and stop at the ends")
    func walking() throws {
        let store = try Store()
        try store.fill([3, 1, 2])
        try store.environment.read { transaction throws in
            try transaction.cursor(store.main) { cursor throws in
                #expect(try cursor.first()?.key == [1])
                #expect(try cursor.next()?.value == [20])
                #expect(try cursor.next()?.key == [3])
                #expect(try cursor.next()?.key == nil)
                #expect(try cursor.last()?.key == [3])
                #expect(try cursor.previous()?.key == [2])
                #expect(try cursor.previous()?.key == [1])
                #expect(try cursor.previous()?.key == nil)
            }
        }
    }

    @Test("find the nearest key on either side, as a sorted list does")
    func seeking() throws {
        let store = try Store()
        let keys: [UInt8] = [10, 20, 30, 200]
        try store.fill(keys)
        try store.environment.read { transaction throws in
            try transaction.cursor(store.main) { cursor throws in
                for target in 0...UInt8.max {
                    #expect(try cursor.seek([target])?.key == keys.first { $0 >= target }.map { [$0] }, "\(target)")
                    #expect(
                        try cursor.seekBackward([target])?.key == keys.last { $0 <= target }.map { [$0] },
                        "\(target)"
                    )
                }
                // Between two keys by length alone.
                #expect(try cursor.seek([20, 0])?.key == [30])
                #expect(try cursor.seekBackward([20, 0])?.key == [20])
                // A walk goes on from where a search ended.
                #expect(try cursor.seekBackward([25])?.key == [20])
                #expect(try cursor.previous()?.key == [10])
                #expect(try cursor.seek([25])?.key == [30])
                #expect(try cursor.next()?.key == [200])
            }
        }
    }

    @Test("find nothing in an empty database")
    func empty() throws {
        let store = try Store()
        try store.environment.read { transaction throws in
            try transaction.cursor(store.main) { cursor throws in
                #expect(try cursor.first()?.key == nil)
                #expect(try cursor.last()?.key == nil)
                #expect(try cursor.seek([1])?.key == nil)
                #expect(try cursor.seekBackward([1])?.key == nil)
            }
        }
    }

    @Test("of one database see no other")
    func databases() throws {
        let store = try Store()
        try store.fill([1])
        try store.environment.write { try $0.set(store.other, [2], []) }
        #expect(try store.keys(store.main) == [[1]])
        #expect(try store.keys(store.other) == [[2]])
    }
}
