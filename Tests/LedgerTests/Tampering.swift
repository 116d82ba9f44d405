import LMDB
import LedgerFormat
import Merkle
import OpenSSL

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

    /// Leaves of a scope what its erasure leaves: an empty row.
    func erase(scope: StreamID) throws {
        try tamper { transaction, schema in
            try transaction.set(schema.scopes, StoreKey.stream(scope), [])
        }
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
