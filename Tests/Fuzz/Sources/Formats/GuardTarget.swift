import Driver
import Glibc
import LMDB

/// The input damages the meta pages of a sound data file and its lists of free pages, and the next transaction is to be
/// written. Where the guard lets it begin, every row there was is as it was.
@Sendable func fuzzGuard(_ bytes: [UInt8]) {
    var input = Input(bytes)
    var damaged = sound.bytes
    var isChanged = false
    while !input.isEmpty {
        let page = sound.guarded[Int(input.byte()) % sound.guarded.count]
        let offset = page * Environment.pageBytes + input.half() % Environment.pageBytes
        for (place, byte) in zip(offset..., input.bytes(1 + Int(input.byte() % 8))) where place < damaged.count {
            isChanged = isChanged || damaged[place] != byte
            damaged[place] = byte
        }
    }
    write(damaged, to: sound.directory + "/data.mdb")
    do {
        let environment = try Environment(directory: sound.directory, mapBytes: 1 << 20, databases: 4)
        try environment.guardPages()
        let database = try environment.databases(["kept", "changing"], create: false)
        // LMDB takes free pages for what is written here.
        try environment.write { transaction in
            for number in 0..<20 {
                try transaction.set(database[1], Array("new \(number)".utf8), [UInt8](repeating: 7, count: 300))
            }
        }
        try environment.read { transaction in
            for (key, value) in sound.rows {
                check(try transaction.get(database[0], key) == value, "a page in use was written over")
            }
        }
    } catch is LMDBError {
        check(isChanged, "a sound file is refused")
    } catch is PageDamage {
        check(isChanged, "a sound file is refused")
    } catch {
        fatalError("\(error)")
    }
}

private struct Sound {
    var directory: String
    var bytes: [UInt8] = []
    /// The two meta pages and the roots of their lists of free pages: what the guard answers for.
    var guarded: [Int] = []
    var rows: [(key: [UInt8], value: [UInt8])] = []
}

/// A data file that was written under the guard, with free pages.
private let sound: Sound = {
    do {
        var sound = Sound(directory: scratch + "/guard")
        mkdir(sound.directory, 0o700)
        sound.rows = (0..<60).map { (Array("row \(100 + $0)".utf8), [UInt8](repeating: UInt8($0), count: 200)) }
        try fill(sound)
        sound.bytes = [UInt8](repeating: 0, count: 1 << 20)
        let descriptor = open(sound.directory + "/data.mdb", O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        sound.bytes.removeLast(sound.bytes.count - pread(descriptor, &sound.bytes, sound.bytes.count, 0))
        sound.guarded = [0, 1]
        for meta in 0..<2 {
            // The root is the last number of the first tree a meta page describes.
            let place = meta * Environment.pageBytes + 16 + 24 + 40
            let root = sound.bytes[place..<place + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            if let page = Int(exactly: root), page < sound.bytes.count / Environment.pageBytes {
                sound.guarded.append(page)
            }
        }
        return sound
    } catch {
        fatalError("no data file can be made: \(error)")
    }
}()

private func fill(_ sound: Sound) throws {
    let environment = try Environment(directory: sound.directory, mapBytes: 1 << 20, databases: 4)
    try environment.guardPages()
    let databases = try environment.databases(["kept", "changing"], create: true)
    try environment.write { transaction in
        for row in sound.rows { try transaction.set(databases[0], row.key, row.value) }
    }
    for round in 0..<5 {
        try environment.write { transaction in
            try transaction.clear(databases[1])
            for number in 0..<40 {
                let size = number % 20 == 0 ? 9_000 : 100
                try transaction.set(
                    databases[1],
                    Array("key \(number)".utf8),
                    [UInt8](repeating: UInt8(round), count: size)
                )
            }
        }
    }
}
