import LMDB
import Merkle

/// There is no room for more of the look-up index; what it holds is as it was.
struct LookupFull: Error {
    /// Whether an error says so.
    static func isMeant(by error: any Error) -> Bool {
        switch error {
        case is LookupFull: true
        case let refusal as LMDBError: refusal.isOutOfRoom
        case let failure as CommitError: failure.cause.isOutOfRoom
        default: false
        }
    }
}

/// What the look-up index says of itself, in one row that changes with every block.
struct LookupState: Equatable {
    /// Entries the index holds: a multiple of the block's.
    var indexed: UInt64 = 0
    /// Those of them whose pair of submitter and request is that of an earlier one.
    var repeated: UInt64 = 0
    /// Those of them whose documents are not known, since their claims were missing or damaged.
    var unread: UInt64 = 0
    var typeRows: UInt64 = 0
    var submitterRows: UInt64 = 0
    /// No record is left of a document whose claims an entry below this index erased.
    var forgotten: UInt64 = 0
    /// Leaf hash of the last of them, zero where there is none. Through `prev` it stands for all before it, so an index of
    /// another history is told from this one's.
    var last = Digest.zero

    private static let bytes = 80

    init() {}

    /// Reads the content of the row.
    init?(content: UnsafeRawBufferPointer) {
        guard content.count == LookupState.bytes, let last = Digest(content, at: LookupState.bytes - 32) else {
            return nil
        }
        func number(_ offset: Int) -> UInt64 {
            UInt64(bigEndian: content.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        indexed = number(0)
        repeated = number(8)
        unread = number(16)
        typeRows = number(24)
        submitterRows = number(32)
        forgotten = number(40)
        self.last = last
    }

    var encoded: [UInt8] {
        var content: [UInt8] = []
        content.reserveCapacity(LookupState.bytes)
        for value in [indexed, repeated, unread, typeRows, submitterRows, forgotten] {
            content += StoreKey.number(value)
        }
        last.append(to: &content)
        return content
    }
}

extension LookupIndex {
    private static let stateKey = Array("state".utf8)

    /// - Throws: `LookupDamage` where there is none, or it is not as it was written.
    func state(_ transaction: borrowing some Readable & ~Copyable) throws -> LookupState {
        let key = LookupIndex.stateKey
        guard let row = try transaction.get(meta, key) else { throw LookupDamage("it does not say what it holds") }
        let state = try key.withUnsafeBytes { key in
            try row.withUnsafeBytes { try LookupState(content: LookupSeal().open("meta", key, $0)) }
        }
        guard let state, state.indexed % LookupBlock.entries == 0 else {
            throw LookupDamage("what it says it holds is malformed")
        }
        return state
    }

    func set(_ state: LookupState, _ transaction: borrowing WriteTransaction) throws {
        let key = LookupIndex.stateKey
        try transaction.set(meta, key, LookupSeal().sealed("meta", key, state.encoded))
    }

    /// How many entries the environment holds, the tail apart.
    func indexed() throws -> UInt64 { try read { try state($0).indexed } }

    /// How many entries, the tail's too, repeat submitter and request of an earlier one, which counts.
    func repeated() throws -> UInt64 {
        try read { try state($0).repeated } + UInt64(tail.repeated)
    }

    /// Of how many entries, the tail's too, the documents are not known.
    func unread() throws -> UInt64 {
        try read { try state($0).unread } + UInt64(tail.indexes { $0.documents.isUnread }.count)
    }

    // MARK: Room

    /// Bytes of file kept ready ahead of those in use.
    private static let aheadBytes = 8 << 20

    /// Makes sure the file has blocks for all that storing a block can dirty, so that a full disk shows before the
    /// transaction and not in its commit.
    ///
    /// - Throws: `LookupFull`.
    func makeRoom(for block: LookupBlock) throws {
        let page = Environment.pageBytes
        let shape = try read { transaction in
            try (requests: transaction.shape(requests), names: transaction.shape(types).depth)
        }
        // Of the rows of request keys at worst each record is in another page, and each page is split; all branches may
        // be copied. Of the other databases the rows themselves, the pages above them and those they lie in.
        let touched = min(Int(LookupBlock.entries), shape.requests.leaves)
        let added = Int(LookupBlock.entries) * RequestSegment.recordBytes * 4 / page
        let names = (block.types.count + block.submitters.count) * (shape.names + 2)
        let content =
            block.documents.count + block.leaves.count
            + [block.types, block.submitters].reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } }
        let pages = touched + added + shape.requests.branches + names + content / page + 64
        try makeRoom(forPages: pages)
    }

    /// The same, for what giving so many rows of `documents` another content can dirty.
    ///
    /// - Throws: `LookupFull`.
    func makeRoom(forRows rows: Int) throws {
        // All records of a block, should each entry have two.
        let row = Int(LookupBlock.entries) * LookupBlock.documentBytes * 2 / Environment.pageBytes + 1
        let depth = try read { try $0.shape(documents).depth }
        try makeRoom(forPages: rows * (row + depth) + 64)
    }

    private func makeRoom(forPages pages: Int) throws {
        let needed = environment.sizes.used + pages * Environment.pageBytes
        guard try environment.makeRoom(to: needed, ahead: LookupIndex.aheadBytes) else { throw LookupFull() }
    }
}
