import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// Look-ups under keys that do not grow with time, in an environment of their own that follows the log and can be
/// dropped and rebuilt.
///
/// Document and leaf keys are grouped in blocks of 65,536 entries: inside a block they fall at random, but a block is
/// small enough to stay in memory while it grows, so the follower's cost does not rise with the ledger. A look-up asks
/// each block.
final class LookupIndex: Sendable {
    private let environment: Environment
    private let requests: Database
    private let documents: Database
    private let leaves: Database
    private let types: Database
    private let submitters: Database
    private let meta: Database
    let tail = LookupTail()
    let hash: KeyedHash
    private static let names = ["requests", "documents", "leaves", "types", "submitters", "meta"]
    private static let indexedKey = Array("indexed".utf8)
    private static let ledgerKey = Array("ledger".utf8)
    private static let blockShift: UInt64 = 16

    /// Opens or creates the index in `directory`. One that belongs to another ledger or incarnation is emptied.
    ///
    /// - Parameter ledger: names the ledger; anything that changes when its history may have.
    init(directory: String, mapBytes: Int, readers: Int, key: [UInt8], ledger: [UInt8]) throws {
        try FileSystem.makeDirectory(directory)
        environment = try Environment(directory: directory, mapBytes: mapBytes, databases: 6, readers: readers)
        try LookupIndex.requireWhole(environment)
        let databases = try environment.databases(
            LookupIndex.names,
            create: true
        )
        requests = databases[0]
        documents = databases[1]
        leaves = databases[2]
        types = databases[3]
        submitters = databases[4]
        meta = databases[5]
        hash = KeyedHash(key: key)
        let known = try environment.read { try $0.get(databases[5], LookupIndex.ledgerKey) }
        if known != ledger {
            try environment.write { transaction in
                for database in databases { try transaction.clear(database) }
                try transaction.set(databases[5], LookupIndex.ledgerKey, ledger)
            }
        }
    }

    /// Opens an index to compare it, beside the daemon that keeps it.
    init(readOnly directory: String, key: [UInt8]) throws {
        environment = try Environment(directory: directory, mapBytes: 1 << 20, databases: 6, readOnly: true)
        try LookupIndex.requireWhole(environment)
        try environment.checkPages { _, _ in }
        let databases = try environment.databases(LookupIndex.names, create: false)
        requests = databases[0]
        documents = databases[1]
        leaves = databases[2]
        types = databases[3]
        submitters = databases[4]
        meta = databases[5]
        hash = KeyedHash(key: key)
    }

    /// Reading a page beyond the end of the file would kill the process.
    private static func requireWhole(_ environment: Environment) throws {
        guard environment.sizes.used <= environment.fileBytes else {
            throw StoreDamage(nil, "the look-up index is shorter than what it holds")
        }
    }

    /// Whether the index has a row of each kind for every entry it claims to hold.
    func hasAllRows() throws -> Bool {
        let (indexed, _, rows, _) = try totals()
        return rows.allSatisfy { UInt64($0.count) == indexed }
    }

    /// Forgets everything, to be filled anew.
    func clear() throws {
        try environment.write { transaction in
            for database in [requests, documents, leaves, types, submitters] { try transaction.clear(database) }
            try transaction.set(meta, LookupIndex.indexedKey, StoreKey.number(0))
        }
    }

    /// How many entries the environment holds and how many rows say so, of one snapshot.
    func totals() throws -> (indexed: UInt64, ledger: [UInt8], rows: [(name: String, count: Int)], documents: Int) {
        try environment.read { transaction in
            (
                try transaction.get(meta, LookupIndex.indexedKey).flatMap { StoreKey.readNumber($0) } ?? 0,
                try transaction.get(meta, LookupIndex.ledgerKey) ?? [],
                [
                    ("request key", try transaction.count(requests)), ("leaf hash", try transaction.count(leaves)),
                    ("type", try transaction.count(types)), ("submitter", try transaction.count(submitters)),
                ],
                try transaction.count(documents)
            )
        }
    }

    /// How many entries the environment holds, the tail apart.
    func indexed() throws -> UInt64 {
        try environment.read { try $0.get(meta, LookupIndex.indexedKey).flatMap { StoreKey.readNumber($0) } ?? 0 }
    }

    /// Stores records, which must follow those there are, in one durable transaction.
    func store(_ records: [LookupRecord]) throws {
        guard let last = records.last else { return }
        while true {
            do {
                try environment.write { transaction in
                    try insert(records, transaction)
                    try transaction.set(meta, LookupIndex.indexedKey, StoreKey.number(last.index + 1))
                }
                return
            } catch let error as LMDBError where error.isMapFull {
                try environment.resizeMap(bytes: environment.sizes.map * 2)
            }
        }
    }

    private func insert(_ records: [LookupRecord], _ transaction: borrowing WriteTransaction) throws {
        var key: [UInt8] = []
        key.reserveCapacity(128)
        for record in records {
            key.removeAll(keepingCapacity: true)
            record.request.append(to: &key)
            try transaction.set(requests, key, StoreKey.number(record.index))
        }
        for (database, name) in [(types, \LookupRecord.type), (submitters, \LookupRecord.submitter)] {
            for record in records {
                key.removeAll(keepingCapacity: true)
                key.append(contentsOf: record[keyPath: name].utf8)
                key.append(0)
                withUnsafeBytes(of: record.index.bigEndian) { key.append(contentsOf: $0) }
                try transaction.set(database, key, [])
            }
        }
        try insert(records.map { (ID128(prefix: $0.leaf), $0.index) }, into: leaves, transaction)
        try insert(
            records.flatMap { record in record.documents.map { ($0.value, record.index) } },
            into: documents,
            transaction
        )
    }

    /// Stores keys that fall at random, in order: neighbours then share the pages they dirty.
    private func insert(
        _ values: [(value: ID128, index: UInt64)],
        into database: Database,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let ordered = values.sorted {
            ($0.index >> LookupIndex.blockShift, $0.value) < ($1.index >> LookupIndex.blockShift, $1.value)
        }
        var key: [UInt8] = []
        key.reserveCapacity(32)
        for (value, index) in ordered {
            key.removeAll(keepingCapacity: true)
            LookupIndex.append(block: index, value, to: &key)
            withUnsafeBytes(of: index.bigEndian) { key.append(contentsOf: $0) }
            try transaction.set(database, key, [])
        }
    }

    /// The entries that submitters' request keys made, nil where there is none yet.
    func indexes(of references: [RequestReference]) throws -> [UInt64?] {
        // The tail first: a record leaves it only after the environment has it.
        var found = tail.indexes(of: references)
        guard found.contains(where: { $0 == nil }) else { return found }
        try environment.read { transaction in
            var key: [UInt8] = []
            key.reserveCapacity(24)
            for (position, reference) in references.enumerated() where found[position] == nil {
                key.removeAll(keepingCapacity: true)
                reference.append(to: &key)
                found[position] = try transaction.withValue(requests, key) { StoreKey.readNumber($0) } ?? nil
            }
        }
        return found
    }

    /// The entries that record a document digest, in ledger order.
    func indexes(ofDocument digest: String) throws -> [UInt64] {
        let key = DocumentKey(digest: digest, hash: hash)
        let recent = tail.records { $0.documents.contains(key) }.map(\.index)
        return Set(recent).union(try search(documents, key.value)).sorted()
    }

    /// The entries whose leaf hash begins like `leaf`; the caller compares the rest.
    func candidates(leaf: Digest) throws -> [UInt64] {
        let recent = tail.records { $0.leaf == leaf }.map(\.index)
        return Set(recent).union(try search(leaves, ID128(prefix: leaf))).sorted()
    }

    private func search(_ database: Database, _ value: ID128) throws -> [UInt64] {
        try environment.read { transaction in
            let indexed = try transaction.get(meta, LookupIndex.indexedKey).flatMap { StoreKey.readNumber($0) } ?? 0
            guard indexed > 0 else { return [] }
            return try transaction.cursor(database) { cursor in
                var found: [UInt64] = []
                for block in 0...(indexed - 1) >> LookupIndex.blockShift {
                    let prefix = LookupIndex.key(block: block << LookupIndex.blockShift, value, [])
                    var item = try cursor.seek(prefix)
                    while let current = item, current.key.starts(with: prefix) {
                        if let index = StoreKey.readNumber(current.key.dropFirst(prefix.count)) { found.append(index) }
                        item = try cursor.next()
                    }
                }
                return found
            }
        }
    }

    /// Indexes of the entries of a type, from `from` upward, or downward with `reverse`; at most `limit`.
    func indexes(ofType type: String, from: UInt64, limit: Int, reverse: Bool) throws -> [UInt64] {
        try scan(types, type, from, limit, reverse) { $0.type == type }
    }

    /// Indexes of the entries of a submitter, as above.
    func indexes(ofSubmitter name: String, from: UInt64, limit: Int, reverse: Bool) throws -> [UInt64] {
        try scan(submitters, name, from, limit, reverse) { $0.submitter == name }
    }

    private func scan(
        _ database: Database,
        _ name: String,
        _ from: UInt64,
        _ limit: Int,
        _ reverse: Bool,
        _ predicate: (LookupRecord) -> Bool
    ) throws -> [UInt64] {
        let recent = tail.records(matching: predicate).map(\.index).filter { reverse ? $0 <= from : $0 >= from }
        let prefix = Array(name.utf8) + [0]
        let stored = try environment.read { transaction in
            try transaction.cursor(database) { cursor in
                var found: [UInt64] = []
                let start = prefix + StoreKey.number(from)
                var item = reverse ? try cursor.seekBackward(start) : try cursor.seek(start)
                while found.count < limit, let current = item, current.key.starts(with: prefix) {
                    if let index = StoreKey.readNumber(current.key.dropFirst(prefix.count)) { found.append(index) }
                    item = reverse ? try cursor.previous() : try cursor.next()
                }
                return found
            }
        }
        let merged = Set(recent).union(stored).sorted()
        return Array((reverse ? merged.reversed() : merged).prefix(limit))
    }

    /// Compares what the environment says of an entry with the entry; nil where it agrees.
    func contradiction(_ record: LookupRecord) throws -> String? {
        try environment.read { transaction in
            let index = StoreKey.number(record.index)
            var request: [UInt8] = []
            record.request.append(to: &request)
            if try transaction.get(requests, request) != index { return "request key" }
            let leaf = LookupIndex.key(block: record.index, ID128(prefix: record.leaf), index)
            if try transaction.get(leaves, leaf) == nil { return "leaf hash" }
            for document in record.documents {
                let key = LookupIndex.key(block: record.index, document.value, index)
                if try transaction.get(documents, key) == nil { return "document digest" }
            }
            if try transaction.get(types, Array(record.type.utf8) + [0] + index) == nil { return "type" }
            if try transaction.get(submitters, Array(record.submitter.utf8) + [0] + index) == nil { return "submitter" }
            return nil
        }
    }

    private static func key(block index: UInt64, _ value: ID128, _ suffix: [UInt8]) -> [UInt8] {
        var key: [UInt8] = []
        append(block: index, value, to: &key)
        return key + suffix
    }

    private static func append(block index: UInt64, _ value: ID128, to key: inout [UInt8]) {
        let block = UInt32(truncatingIfNeeded: index >> blockShift)
        withUnsafeBytes(of: block.bigEndian) { key.append(contentsOf: $0) }
        value.append(to: &key)
    }
}
