import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// Look-ups under keys that do not grow with time, in an environment of their own that follows the log and can be
/// dropped and rebuilt.
///
/// It holds whole blocks of entries (`LookupBlock`); those after the last whole block are in the tail, in memory. A
/// look-up asks the tail and each block. Request keys alone have a row each: every append asks for them.
final class LookupIndex: Sendable {
    let environment: Environment
    let requests: Database
    let documents: Database
    let leaves: Database
    let types: Database
    let submitters: Database
    let meta: Database
    let tail = LookupTail()
    let hash: KeyedHash
    private static let names = ["requests", "documents", "leaves", "types", "submitters", "meta"]
    private static let indexedKey = Array("indexed".utf8)
    static let ledgerKey = Array("ledger".utf8)
    static let formatKey = Array("format".utf8)
    static let format = Array("evidenced index 2".utf8)

    /// Opens or creates the index in `directory`. One that belongs to another ledger or incarnation, or has another
    /// layout, is emptied.
    ///
    /// - Parameter ledger: names the ledger; anything that changes when its history may have.
    convenience init(
        directory: String,
        mapBytes: Int,
        readers: Int,
        ownReaders: Int = 0,
        key: SecretBytes,
        ledger: [UInt8]
    ) throws {
        try FileSystem.makeDirectory(directory)
        let environment = try Environment(
            directory: directory,
            mapBytes: mapBytes,
            databases: LookupIndex.names.count,
            readers: readers,
            ownReaders: ownReaders
        )
        try LookupIndex.requireWhole(environment)
        do {
            try environment.guardPages()
        } catch let damage as PageDamage {
            throw StoreDamage(nil, damage.description)
        }
        let databases = try environment.databases(LookupIndex.names, create: true)
        self.init(environment, databases, key)
        let isKnown = try environment.read { transaction in
            try transaction.get(meta, LookupIndex.ledgerKey) == ledger
                && transaction.get(meta, LookupIndex.formatKey) == LookupIndex.format
        }
        if !isKnown {
            try write { transaction in
                for database in databases { try transaction.clear(database) }
                try transaction.set(meta, LookupIndex.formatKey, LookupIndex.format)
                try transaction.set(meta, LookupIndex.ledgerKey, ledger)
            }
        }
    }

    /// Opens an index to compare it, beside the daemon that keeps it.
    convenience init(readOnly directory: String, key: SecretBytes) throws {
        let environment = try Environment(
            directory: directory,
            mapBytes: 1 << 20,
            databases: LookupIndex.names.count,
            access: .reading
        )
        try LookupIndex.requireWhole(environment)
        try environment.checkPages { _, _ in }
        self.init(environment, try environment.databases(LookupIndex.names, create: false), key)
    }

    /// - Parameter databases: those of `names`.
    private init(_ environment: Environment, _ databases: [Database], _ key: SecretBytes) {
        self.environment = environment
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

    /// Forgets everything, to be filled anew.
    func clear() throws {
        try write { transaction in
            for database in [requests, documents, leaves, types, submitters] { try transaction.clear(database) }
            try transaction.set(meta, LookupIndex.indexedKey, StoreKey.number(0))
        }
    }

    /// How many entries the environment holds, the tail apart.
    func indexed() throws -> UInt64 { try environment.read { try indexed($0) } }

    func indexed(_ transaction: borrowing ReadTransaction) throws -> UInt64 {
        try transaction.get(meta, LookupIndex.indexedKey).flatMap { StoreKey.readNumber($0) } ?? 0
    }

    // MARK: Filling

    /// Stores the records of a block, which must follow those there are, in one durable transaction.
    func store(_ records: [LookupRecord]) throws {
        let block = LookupBlock(records, hash: hash)
        let ordered = records.sorted { $0.request < $1.request }
        try write { transaction in
            try insert(block, transaction)
            try transaction.insert(requests, ascending: ordered.count) { position, key, value in
                key.removeAll(keepingCapacity: true)
                ordered[position].request.append(to: &key)
                StoreKey.number(ordered[position].index, in: &value)
            }
            let end = (UInt64(block.number) + 1) * LookupBlock.entries
            try transaction.set(meta, LookupIndex.indexedKey, StoreKey.number(end))
        }
    }

    /// Writes in one durable transaction, and makes the map larger where it is too small for that. Even emptying an
    /// index takes pages, and the map it is opened with may be no larger than what it holds.
    private func write(_ body: (borrowing WriteTransaction) throws -> Void) throws {
        while true {
            do {
                return try environment.write { try body($0) }
            } catch let error as LMDBError where error.isMapFull {
                try environment.resizeMap(bytes: environment.sizes.map * 2)
            }
        }
    }

    private func insert(_ block: LookupBlock, _ transaction: borrowing WriteTransaction) throws {
        try transaction.append(documents, LookupIndex.key(block.number), block.documents)
        try transaction.append(leaves, LookupIndex.key(block.number), block.leaves)
        for (database, rows) in [(types, block.types), (submitters, block.submitters)] {
            for (name, row) in rows { try transaction.set(database, LookupIndex.key(name, block.number), row) }
        }
    }

    static func key(_ block: UInt32) -> [UInt8] { withUnsafeBytes(of: block.bigEndian) { [UInt8]($0) } }

    static func key(_ name: String, _ block: UInt32) -> [UInt8] {
        Array(name.utf8) + [0] + key(block)
    }

    // MARK: Looking up

    /// The entries that submitters' request keys made, nil where there is none yet.
    func indexes(of references: [RequestReference]) throws -> [UInt64?] {
        // The tail first: a record leaves it only after the environment has it.
        var found = tail.indexes(of: references)
        guard found.contains(where: { $0 == nil }) else { return found }
        try environment.read { transaction in
            // Keys beyond the submitter's last one, as those of version 7 are, need no look-up of their own.
            var last: (submitter: SubmitterReference, request: ID128?)?
            var key: [UInt8] = []
            key.reserveCapacity(24)
            for (position, reference) in references.enumerated() where found[position] == nil {
                if last?.submitter != reference.submitter {
                    last = (reference.submitter, try self.last(of: reference.submitter, transaction))
                }
                guard let greatest = last?.request, reference.request.value <= greatest else { continue }
                key.removeAll(keepingCapacity: true)
                reference.append(to: &key)
                found[position] = try transaction.withValue(requests, key) { StoreKey.readNumber($0) } ?? nil
            }
        }
        return found
    }

    /// The greatest request key of a submitter, nil where it has none.
    private func last(of submitter: SubmitterReference, _ transaction: borrowing ReadTransaction) throws -> ID128? {
        let prefix = StoreKey.number(submitter.value)
        return try transaction.cursor(requests) { cursor in
            let row = try cursor.seekBackward(prefix + [UInt8](repeating: 0xFF, count: 16))
            guard let key = row?.key, key.count == 24, key.starts(with: prefix) else { return nil }
            return ID128(bytes: key.span.extracting(8...))
        }
    }

    /// The entries that record a document digest, in ledger order.
    func indexes(ofDocument digest: Digest) throws -> [UInt64] {
        let recent = tail.indexes { $0.documents.contains(digest) }
        var key: [UInt8] = []
        DocumentKey(digest, hash).value.append(to: &key)
        return Set(recent).union(try search(documents, key, width: LookupBlock.documentBytes)).sorted()
    }

    /// The entries whose leaf hash begins like `leaf`; the caller compares the rest.
    func candidates(leaf: Digest) throws -> [UInt64] {
        let recent = tail.indexes { $0.leaf == leaf }
        let prefix = Array(leaf.bytes.prefix(LookupBlock.leafBytes - 2))
        return Set(recent).union(try search(leaves, prefix, width: LookupBlock.leafBytes)).sorted()
    }

    private func search(_ database: Database, _ prefix: [UInt8], width: Int) throws -> [UInt64] {
        try environment.read { transaction in
            var found: [UInt64] = []
            for block in 0..<UInt32(truncatingIfNeeded: try indexed(transaction) / LookupBlock.entries) {
                let offsets = try transaction.withValue(database, LookupIndex.key(block)) { row in
                    LookupBlock.offsets(row, beginningWith: prefix, width: width)
                }
                for offset in offsets ?? [] { found.append(UInt64(block) * LookupBlock.entries + UInt64(offset)) }
            }
            return found
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
        let recent = tail.indexes(where: predicate)
        let stored = try environment.read { transaction in
            try transaction.cursor(database) { cursor in
                var found: [UInt64] = []
                let start = LookupIndex.key(name, UInt32(clamping: from / LookupBlock.entries))
                let prefix = start.dropLast(4)
                var item = reverse ? try cursor.seekBackward(start) : try cursor.seek(start)
                while found.count < limit, let current = item, current.key.count == start.count,
                    current.key.starts(with: prefix)
                {
                    let block = current.key.suffix(4).reduce(0) { $0 << 8 | UInt64($1) }
                    let indexes = current.value.withUnsafeBytes { row in
                        LookupBlock.offsets(row).map { block * LookupBlock.entries + UInt64($0) }
                    }
                    found += (reverse ? indexes.reversed() : indexes).filter { reverse ? $0 <= from : $0 >= from }
                    item = reverse ? try cursor.previous() : try cursor.next()
                }
                return found
            }
        }
        let wanted = recent.filter { reverse ? $0 <= from : $0 >= from }
        let merged = Set(wanted).union(stored).sorted()
        return Array((reverse ? merged.reversed() : merged).prefix(limit))
    }
}
