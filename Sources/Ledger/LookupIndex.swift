import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// Look-ups under keys that do not grow with time, in an environment of their own that follows the log and can be
/// dropped and rebuilt.
///
/// It holds whole blocks of entries (`LookupBlock`); those after the last whole block are in the tail, in memory. A
/// look-up asks the tail and each block. Request keys alone have rows of their own (`RequestSegment`): every append asks
/// for them, and what they say decides whether an event is recorded, so they are checked each time they are used. All
/// other rows are checked once after the index was opened, and are not believed before (`isChecked`).
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
    private static let names = [RequestSegment.database, "documents", "leaves", "types", "submitters", "meta"]
    static let ledgerKey = Array("ledger".utf8)
    static let formatKey = Array("format".utf8)
    static let format = Array("evidenced index 5".utf8)
    /// Set by `check`.
    private let hasBeenChecked = Atomic(false)

    /// Opens or creates the index in `directory`, which exists (`LookupDirectory`).
    ///
    /// - Parameters:
    ///   - ledger: names the ledger; anything that changes when its history may have.
    ///   - checkedEntries: an index of more entries is opened unchecked.
    /// - Throws: `LookupDamage` where it is of another ledger, incarnation or layout, or its rows are not as they were
    ///   written; `LMDBError`.
    convenience init(
        directory: String,
        mapBytes: Int,
        readers: Int,
        ownReaders: Int = 0,
        key: SecretBytes,
        ledger: [UInt8],
        checkedEntries: UInt64 = .max
    ) throws {
        let environment = try Environment(
            directory: directory,
            mapBytes: mapBytes,
            databases: LookupIndex.names.count,
            readers: readers,
            ownReaders: ownReaders,
            damage: DamageNotice(
                "the look-up index is damaged and was put aside: start again, and it is made anew",
                setsAside: true
            )
        )
        try LookupIndex.requireWhole(environment)
        do {
            try environment.guardPages()
        } catch {
            throw LookupDamage.named(error)
        }
        let databases = try environment.databases(LookupIndex.names, create: true)
        self.init(environment, databases, key)
        let known = try read { transaction in
            (
                format: try transaction.get(meta, LookupIndex.formatKey),
                ledger: try transaction.get(meta, LookupIndex.ledgerKey),
                isEmpty: try databases.allSatisfy { try transaction.count($0) == 0 }
            )
        }
        if known.isEmpty {
            try write { transaction in
                try transaction.set(meta, LookupIndex.formatKey, LookupIndex.format)
                try transaction.set(meta, LookupIndex.ledgerKey, ledger)
                try set(LookupState(), transaction)
            }
            hasBeenChecked.store(true, ordering: .releasing)
            return
        }
        guard known.format == LookupIndex.format, known.ledger == ledger else {
            throw LookupDamage("it is of another version or incarnation")
        }
        if try indexed() <= checkedEntries { try check() }
    }

    /// Whether pages and rows are known to be as they were written. Before, nothing is stored, for LMDB can write anywhere
    /// where a page misleads it; and only request keys may be looked up.
    var isChecked: Bool { hasBeenChecked.load(ordering: .acquiring) }

    /// Checks the structure of every page and then every row.
    ///
    /// - Parameter goOn: called now and then; what it throws ends the check.
    /// - Throws: `LookupDamage`, and what `goOn` throws.
    func check(_ goOn: @escaping () throws -> Void = {}) throws {
        do {
            // A bit that turned by itself is not what the guard looks for.
            try environment.checkPages { _, _ in try goOn() }
        } catch {
            throw LookupDamage.named(error)
        }
        try verify(goOn)
        hasBeenChecked.store(true, ordering: .releasing)
    }

    /// Opens an index to compare it, beside the daemon that keeps it.
    convenience init(readOnly directory: String, key: SecretBytes) throws {
        let environment = try Environment(
            directory: directory,
            mapBytes: 1 << 20,
            databases: LookupIndex.names.count,
            access: .reading,
            damage: DamageNotice("the look-up index is damaged: start the daemon anew, which checks and mends it")
        )
        try LookupIndex.requireWhole(environment)
        try LookupIndex.checkPages(environment)
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
            throw LookupDamage("its file is shorter than what it holds")
        }
    }

    /// So would following a damaged page, or writing to one that is in use.
    private static func checkPages(_ environment: Environment) throws {
        do {
            try environment.checkPages { _, _ in }
        } catch {
            throw LookupDamage.named(error)
        }
    }

    /// Runs `body` on a consistent snapshot.
    ///
    /// - Throws: `LookupDamage` where LMDB can't follow what the file holds; what `body` throws.
    func read<Result>(_ body: (borrowing ReadTransaction) throws -> Result) throws -> Result {
        do {
            return try environment.read { try body($0) }
        } catch {
            throw LookupDamage.named(error)
        }
    }

    // MARK: Filling

    /// Stores the records of a block, which must follow those there are, in one durable transaction.
    ///
    /// - Returns: the entries whose request key had made an earlier entry; the earlier one counts. None of a ledger the
    ///   daemon wrote.
    /// - Throws: `LookupFull` where there is no room, and nothing was stored; `LookupDamage`.
    @discardableResult
    func store(_ records: [LookupRecord]) throws -> [UInt64] {
        let block = LookupBlock(records, hash: hash)
        let ordered = records.sorted { ($0.request, $0.index) < ($1.request, $1.index) }
        try makeRoom(for: block)
        return try write { transaction in
            let seal = LookupSeal()
            var state = try state(transaction)
            guard UInt64(block.number) * LookupBlock.entries == state.indexed, let last = records.last else {
                throw LookupDamage("block \(block.number) does not follow the \(state.indexed) entries there are")
            }
            try insert(block, seal, transaction)
            let repeated = try insertRequests(ordered, seal, transaction)
            state.indexed += LookupBlock.entries
            state.repeated += UInt64(repeated.count)
            state.unread += UInt64(records.count { $0.documents.isUnread })
            state.typeRows += UInt64(block.types.count)
            state.submitterRows += UInt64(block.submitters.count)
            state.last = last.leaf
            try set(state, transaction)
            return repeated
        }
    }

    /// Writes in one durable transaction, and makes the map larger where it is too small for that.
    func write<Result>(_ body: (borrowing WriteTransaction) throws -> Result) throws -> Result {
        do {
            return try environment.write(growingTo: .max) { try body($0) }
        } catch {
            // The pages of a commit are not in use before the meta page says so, and that is written last, in place.
            throw LookupFull.isMeant(by: error) ? LookupFull() : LookupDamage.named(error)
        }
    }

    private func insert(_ block: LookupBlock, _ seal: LookupSeal, _ transaction: borrowing WriteTransaction) throws {
        let key = LookupIndex.key(block.number)
        try transaction.append(documents, key, seal.sealed("documents", key, block.documents))
        try transaction.append(leaves, key, seal.sealed("leaves", key, block.leaves))
        for (database, name, rows) in [
            (types, "types", block.types), (submitters, "submitters", block.submitters),
        ] {
            for (value, row) in rows {
                let key = LookupIndex.key(value, block.number)
                try transaction.insert(database, key, seal.sealed(name, key, row))
            }
        }
    }

    /// - Parameter ordered: ascending by key, then by index.
    private func insertRequests(
        _ ordered: [LookupRecord],
        _ seal: LookupSeal,
        _ transaction: borrowing WriteTransaction
    ) throws -> [UInt64] {
        var last = try transaction.cursor(requests) { try $0.last()?.key }
        var repeated: [UInt64] = []
        var rest = ordered[...]
        while let first = rest.first {
            let segment =
                try last == nil
                ? .whole : transaction.cursor(requests) { try LookupIndex.segment(covering: first.request, $0, seal) }
            let covered = rest.prefix { segment.covers($0.request) }
            rest = rest.dropFirst(covered.count)
            let merged = segment.merged(with: covered.map { .init(reference: $0.request, index: $0.index) })
            repeated += merged.repeated.map(\.index)
            for piece in merged.segments {
                // Behind all others they fill their pages, where LMDB would leave half of each empty.
                if last.map({ $0.lexicographicallyPrecedes(piece.key) }) ?? true {
                    try transaction.append(requests, piece.key, piece.sealed(seal))
                    last = piece.key
                } else {
                    try transaction.set(requests, piece.key, piece.sealed(seal))
                }
            }
        }
        return repeated.sorted()
    }

    static func key(_ block: UInt32) -> [UInt8] { withUnsafeBytes(of: block.bigEndian) { [UInt8]($0) } }

    static func key(_ name: String, _ block: UInt32) -> [UInt8] {
        Array(name.utf8) + [0] + key(block)
    }

    // MARK: Looking up

    /// The entries that submitters' request keys made, nil where there is none yet.
    ///
    /// - Throws: `LookupDamage` where what the index says of one of them is not what was written.
    func indexes(of references: [RequestReference]) throws -> [UInt64?] {
        // The tail first: a record leaves it only after the environment has it.
        var found = tail.indexes(of: references)
        guard found.contains(where: { $0 == nil }) else { return found }
        try complete(&found, references)
        return found
    }

    /// Fills in what the environment knows.
    private func complete(_ found: inout [UInt64?], _ references: [RequestReference]) throws {
        try read { transaction in
            guard try state(transaction).indexed > 0 else { return }
            let seal = LookupSeal()
            try transaction.cursor(requests) { cursor in
                // Keys beyond the submitter's last one, as those of version 7 are, need no look-up of their own.
                var last: (submitter: SubmitterReference, request: ID128?)?
                for (position, reference) in references.enumerated() where found[position] == nil {
                    if last?.submitter != reference.submitter {
                        last = (reference.submitter, try LookupIndex.last(of: reference.submitter, cursor, seal))
                    }
                    guard let greatest = last?.request, reference.request.value <= greatest else { continue }
                    found[position] = try LookupIndex.segment(covering: reference, cursor, seal).index(of: reference)
                }
            }
        }
    }

    /// The row among whose keys a key is, if it is anywhere.
    static func segment(
        covering reference: RequestReference,
        _ cursor: borrowing Cursor,
        _ seal: LookupSeal
    ) throws -> RequestSegment {
        guard let row = try cursor.seekBackward(reference.encoded) else {
            throw LookupDamage("the first row of 'requests' is missing")
        }
        let segment = try row.key.withUnsafeBytes { key in
            try row.value.withUnsafeBytes { try RequestSegment(key: key, value: $0, seal) }
        }
        guard segment.covers(reference) else { throw LookupDamage("a row of 'requests' is missing") }
        return segment
    }

    /// No request key of a submitter is greater than this; nil where it has none.
    private static func last(
        of submitter: SubmitterReference,
        _ cursor: borrowing Cursor,
        _ seal: LookupSeal
    ) throws -> ID128? {
        let greatest = RequestReference(
            submitter: submitter,
            request: RequestKey(value: ID128(high: .max, low: .max))
        )
        let segment = try segment(covering: greatest, cursor, seal)
        if let last = segment.records.last(where: { $0.reference <= greatest }) {
            return last.reference.submitter == submitter ? last.reference.request.value : nil
        }
        // Those it has are in the rows before, below this one's first key.
        return segment.low.submitter == submitter ? segment.low.request.value : nil
    }

    /// The entries that record a document digest, in ledger order.
    ///
    /// - Throws: `StoreDamage` where the documents of some entries are not known: one of those may record it too.
    func indexes(ofDocument digest: Digest) throws -> [UInt64] {
        let unread = try unread()
        guard unread == 0 else {
            throw StoreDamage(nil, "which documents entries record is not known of \(unread), whose claims are damaged")
        }
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
        try read { transaction in
            var found: [UInt64] = []
            for block in 0..<UInt32(truncatingIfNeeded: try state(transaction).indexed / LookupBlock.entries) {
                let offsets = try transaction.withValue(database, LookupIndex.key(block)) { row in
                    LookupBlock.offsets(LookupSeal.content(row), beginningWith: prefix, width: width)
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
        let stored = try read { transaction in
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
                        LookupBlock.offsets(LookupSeal.content(row)).map { block * LookupBlock.entries + UInt64($0) }
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
