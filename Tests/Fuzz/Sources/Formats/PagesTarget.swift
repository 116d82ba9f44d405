import Driver
import Glibc
import LMDB

/// The input damages a sound data file: page, place in it, how many bytes, and the bytes, again and again. What the walk
/// over its pages then accepts, LMDB reads to its end.
@Sendable func fuzzPages(_ bytes: [UInt8]) {
    var input = Input(bytes)
    var damaged: [Range<Int>] = []
    while !input.isEmpty {
        let page = input.half() % (file.bytes.count / Environment.pageBytes)
        let start = page * Environment.pageBytes + input.half() % Environment.pageBytes
        let bytes = input.bytes(Int(input.byte() % 64)).prefix(file.bytes.count - start)
        put(bytes, at: start)
        damaged.append(start..<start + bytes.count)
    }
    let isAccepted = readsToItsEnd(file.directory)
    check(isAccepted || !damaged.isEmpty, "a sound file is refused")
    for range in damaged { put(file.bytes[range], at: range.lowerBound) }
}

private let names = ["entries", "nodes", "rows", "cleared"]

/// Whether every page is accepted.
private func readsToItsEnd(_ directory: String) -> Bool {
    do {
        let environment = try Environment(directory: directory, mapBytes: 0, databases: 8, access: .reading)
        try environment.checkPages { _, _ in }
        do {
            let databases = try environment.databases(names, create: false)
            try environment.read { transaction in
                for database in databases { try readAll(database, transaction) }
            }
        } catch is LMDBError {
            // Rows that are not there or out of order: for the audit to say, and nothing that LMDB trips over.
        }
        return true
    } catch is LMDBError {
        return false
    } catch is PageDamage {
        return false
    } catch {
        fatalError("\(error)")
    }
}

private func readAll(_ database: Database, _ transaction: borrowing ReadTransaction) throws {
    let rows = try transaction.cursor(database) { cursor in
        var keys: [[UInt8]] = []
        var item = try cursor.first()
        while let found = item {
            keys.append(found.key)
            item = try cursor.next()
        }
        _ = try cursor.last()
        _ = try cursor.previous()
        _ = try cursor.seek([0x40])
        return keys
    }
    check(try transaction.count(database) == rows.count, "a walk over the rows gives another number than there are")
    for key in rows where !key.isEmpty { _ = try transaction.get(database, key) }
}

private func put(_ bytes: ArraySlice<UInt8>, at offset: Int) {
    let count = bytes.withUnsafeBytes { pwrite(file.descriptor, $0.baseAddress, bytes.count, off_t(offset)) }
    check(count == bytes.count, "the data file can't be written")
}

/// A data file with branches, values on pages of their own and free pages, of few pages in all.
private let file: (directory: String, descriptor: CInt, bytes: [UInt8]) = {
    do {
        let directory = scratch + "/pages"
        mkdir(directory, 0o700)
        try fill(Environment(directory: directory, mapBytes: 1 << 20, databases: 8))
        let descriptor = open(directory + "/data.mdb", O_RDWR)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - pread(descriptor, &bytes, bytes.count, 0))
        return (directory, descriptor, bytes)
    } catch {
        fatalError("no data file can be made: \(error)")
    }
}()

private func fill(_ environment: Environment) throws {
    let databases = try environment.databases(names, create: true)
    for round in 0..<3 {
        try environment.write { transaction in
            for number in round * 40..<(round + 1) * 40 {
                let size = number % 40 == 0 ? 5_000 : 60
                let value = [UInt8](repeating: UInt8(number), count: size)
                try transaction.set(databases[number % 2], Array("key \(1_000 + number)".utf8), value)
                try transaction.set(databases[3], Array("key \(1_000 + number)".utf8), value)
            }
            try transaction.set(databases[2], [UInt8(round)], [])
        }
    }
    try environment.write { try $0.clear(databases[3]) }
    try environment.write { try $0.set(databases[2], [9], [1]) }
}
