import Files
import Glibc
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

extension LedgerFixture {
    /// Changes the closed store behind the ledger's back.
    func tamper(_ body: (borrowing WriteTransaction, StoreSchema) throws -> Void) throws {
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 64 << 20,
            readers: 8,
            create: false
        )
        try environment.write { try body($0, schema) }
    }

    /// Hands out the closed store's environment.
    func reopened(_ body: (Environment, StoreSchema) throws -> Void) throws {
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 64 << 20,
            readers: 126,
            create: false
        )
        try body(environment, schema)
    }

    /// Changes the text of an entry and makes the tree fit again, as an operator would who wants to rewrite history.
    func rewrite(entry index: UInt64, _ change: (String) -> String) throws {
        try tamper { transaction, schema in
            var hasher = SHA256Hasher()
            var range = CompactRange()
            var previous = Digest.zero
            for position in 0..<(try schema.size(transaction)) {
                var text = String(decoding: try schema.entry(transaction, position), as: UTF8.self)
                if position == index { text = change(text) }
                let entry = try Entry(Array(text.utf8))
                text = text.replacing("\"prev\":\"\(entry.previous.base64)\"", with: "\"prev\":\"\(previous.base64)\"")
                let bytes = Array(text.utf8)
                var row: [UInt8] = []
                previous = hasher.leaf(bytes)
                range.append(previous, hasher: &hasher) { _, digest in digest.append(to: &row) }
                try transaction.set(schema.entries, StoreKey.number(position), bytes)
                try transaction.set(schema.tree, StoreKey.number(position), row)
            }
        }
    }

    /// Has the lock's records say that lock and store lie where they do, as if they had never been copied.
    func settle() throws {
        let descriptor = Glibc.open(locations.lock, O_RDWR)
        defer { close(descriptor) }
        let file = try OpenFile(descriptor, path: locations.lock)
        let places = LockRecord.Places(
            lock: file.place,
            store: try StoreHold(directory: locations.store).file.place
        )
        let bytes = try FileSystem.read(locations.lock, limit: 1 << 20)
        for offset in stride(from: 0, to: bytes.count, by: LockRecord.slotBytes) {
            guard let record = LockRecord(slot: Array(bytes[offset..<offset + LockRecord.slotBytes])) else { continue }
            try FileSystem.write(record.moved(to: places).slot, to: descriptor, at: offset, name: "lock")
        }
    }

    /// Destroys the data key of a scope of the closed ledger.
    func erase(scope: StreamID) throws {
        let content = try read { try #require(try $1.scopes.stored($0, StoreKey.stream(scope))) }
        let slot = try #require(content.withUnsafeBytes { ScopeSlot.read($0, of: scope, SHA256Hasher()) })
        try KeyTree(directory: locations.keys, master: keyring.masterKey()).erase([slot])
    }
}

extension LinkedRows {
    /// Sets the content of a row, or removes it, and links all rows anew, as one would who wants nothing to show.
    func put(_ transaction: borrowing WriteTransaction, _ key: [UInt8], _ content: [UInt8]?) throws {
        var rows: [(key: [UInt8], content: [UInt8])] = []
        try transaction.forEach(database) { found, value in
            if !found.elementsEqual(key) { rows.append((Array(found), Array(value.dropLast(8)))) }
        }
        if let content { rows.append((key, content)) }
        rows.sort { $0.key.lexicographicallyPrecedes($1.key) }
        try transaction.clear(database)
        for (position, row) in rows.enumerated() {
            let end = [UInt8](repeating: 0xFF, count: keyBytes)
            let next = position + 1 < rows.count ? rows[position + 1].key : end
            // FNV-1a, as its authors describe it.
            let hash = (row.key + next).reduce(UInt64(14_695_981_039_346_656_037)) { hash, byte in
                (hash ^ UInt64(byte)).multipliedReportingOverflow(by: 1_099_511_628_211).partialValue
            }
            try transaction.append(database, row.key, row.content + StoreKey.number(hash))
        }
    }
}

extension FileSystem {
    /// Writes over the beginning of a file, which stays the same file.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = Glibc.open(path, O_WRONLY)
        defer { close(descriptor) }
        try write(bytes, to: descriptor, at: 0, name: path)
    }
}

extension WriteTransaction {
    /// Removes a row, which no code of the ledger ever does.
    func remove(_ database: Database, _ key: [UInt8]) throws {
        var others: [(key: [UInt8], value: [UInt8])] = []
        try forEach(database) { found, value in
            if !found.elementsEqual(key) { others.append((Array(found), Array(value))) }
        }
        try clear(database)
        for row in others { try append(database, row.key, row.value) }
    }
}
