import Glibc
import LMDB
import Testing

/// An environment with two databases in a directory of its own.
final class Store {
    let directory: String
    let environment: Environment
    let main: Database
    let other: Database

    init(mapBytes: Int = 16 << 20, readers: Int = 126) throws {
        var template = Array("/tmp/evidenced-test-XXXXXX".utf8CString)
        directory = try template.withUnsafeMutableBufferPointer { buffer in
            try #require(buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) })
        }
        environment = try Environment(directory: directory, mapBytes: mapBytes, databases: 4, readers: readers)
        let databases = try environment.databases(["main", "other"], create: true)
        main = databases[0]
        other = databases[1]
    }

    deinit {
        for name in ["data.mdb", "lock.mdb", "copy/data.mdb", "copy/lock.mdb"] { unlink("\(directory)/\(name)") }
        rmdir(directory + "/copy")
        rmdir(directory)
    }

    /// Stores each byte as a key of its own with a value of ten times that.
    func fill(_ keys: [UInt8]) throws {
        try environment.write { transaction in
            for key in keys { try transaction.set(main, [key], [key &* 10]) }
        }
    }

    /// Every key of a database, in its order.
    func keys(_ database: Database) throws -> [[UInt8]] {
        try environment.read { transaction in
            try transaction.cursor(database) { cursor in
                var keys: [[UInt8]] = []
                var item = try cursor.first()
                while let found = item {
                    keys.append(found.key)
                    item = try cursor.next()
                }
                return keys
            }
        }
    }

    func value(_ key: [UInt8]) throws -> [UInt8]? {
        try environment.read { try $0.get(main, key) }
    }
}

/// Something a test throws out of a transaction.
struct Abandoned: Error {}
