import LMDB

/// Takes out of the look-up index, and of its tail, what they hold of documents whose claims were erased
/// (`ledger-format.md` section 9): the entries that erase are worked off one after the other, and the index notes how far
/// that has come. It comes to the rows that an index made anew has. It belongs to the thread of the follower.
struct LookupForgetting {
    /// Rows that are rewritten in one commit, and entries whose claims are looked at for it: what a block of the log waits.
    private static let rows = 16
    private static let entries = 1_024

    let index: LookupIndex
    private let log: LookupLog
    /// Entries that erase and are in the index already, not worked off.
    private var stored: ArraySlice<UInt64>
    /// The one at hand, and the entries of which records are left.
    private var current: (erasing: UInt64, left: ArraySlice<UInt64>)?
    /// What keeps it from going on, until the index is opened again.
    private(set) var damage: StoreDamage?

    /// - Parameter index: was checked, and stores nothing meanwhile.
    init(_ index: LookupIndex, _ log: LookupLog) throws {
        self.index = index
        self.log = log
        let state = try index.read { try index.state($0) }
        stored = try Erasing.types.flatMap {
            try index.indexes(ofType: $0, from: state.forgotten, limit: .max, reverse: false)
        }
        .filter { $0 < state.indexed }.sorted()[...]
    }

    /// Does a part of what there is to do.
    ///
    /// - Parameter size: entries that are committed.
    /// - Returns: whether there may be more to do at once.
    /// - Throws: `LookupFull` where there is no room, and it can be tried again; `LookupDamage`; what `Shortage` means.
    mutating func step(below size: UInt64) throws -> Bool {
        guard damage == nil else { return false }
        do {
            guard let (erasing, left) = try current ?? next(below: size) else { return false }
            current = (erasing, left)
            let slice = LookupForgetting.slice(of: left)
            let rest = left.dropFirst(slice.count)
            try index.revise(log.records(slice), forgotten: rest.isEmpty ? erasing + 1 : nil)
            current = (erasing, rest)
            guard rest.isEmpty else { return true }
            current = nil
            if stored.first == erasing { stored.removeFirst() }
            index.tail.noteForgotten(erasing)
            return true
        } catch let damage as StoreDamage {
            self.damage = damage
            return false
        }
    }

    /// The next entry that erases, and the entries of which the index has records. Those of which the tail has records lose
    /// them at once.
    private func next(below size: UInt64) throws -> (erasing: UInt64, left: ArraySlice<UInt64>)? {
        guard let erasing = [stored.first, index.tail.erasing].compactMap({ $0 }).min(), erasing < size else {
            return nil
        }
        let found = try log.documents(erasedBy: erasing)
        let indexed = try index.indexed()
        let recent = found.drop { $0 < indexed }
        if !recent.isEmpty { index.tail.revise(try log.records(recent)) }
        return (erasing, found.prefix { $0 < indexed })
    }

    /// As many entries of few enough blocks.
    private static func slice(of entries: ArraySlice<UInt64>) -> ArraySlice<UInt64> {
        var blocks = 0
        var last: UInt64?
        return entries.prefix(LookupForgetting.entries).prefix { index in
            let block = index / LookupBlock.entries
            if block != last { blocks += 1 }
            last = block
            return blocks <= rows
        }
    }
}

extension LookupIndex {
    /// Has the rows of `documents` hold what they must of some entries, in one durable transaction.
    ///
    /// - Parameters:
    ///   - records: of entries the environment holds.
    ///   - position: of what entries below it erased, nothing is left after this; nil leaves what is noted.
    /// - Throws: `LookupFull` where there is no room, and nothing was changed; `LookupDamage`.
    func revise(_ records: some Sequence<LookupRecord>, forgotten position: UInt64?) throws {
        var changes: [UInt32: [UInt16: DocumentDigests]] = [:]
        for record in records {
            let block = UInt32(truncatingIfNeeded: record.index / LookupBlock.entries)
            let offset = UInt16(truncatingIfNeeded: record.index % LookupBlock.entries)
            changes[block, default: [:]][offset] = record.documents
        }
        guard !changes.isEmpty || position != nil else { return }
        try makeRoom(forRows: changes.count)
        try write { transaction in
            let seal = LookupSeal()
            var state = try state(transaction)
            for (block, changes) in changes {
                let key = LookupIndex.key(block)
                guard let row = try transaction.get(documents, key) else {
                    throw LookupDamage("a row of 'documents' is missing")
                }
                let (known, revised) = try key.withUnsafeBytes { key in
                    try row.withUnsafeBytes { row in
                        let content = try seal.open("documents", key, row)
                        let revised = LookupBlock.documents(content, changing: changes, hash)
                        let unread = revised.withUnsafeBytes { LookupBlock.unread($0) }
                        let added = unread - LookupBlock.unread(content)
                        state.unread = UInt64(clamping: Int64(clamping: state.unread) + Int64(added))
                        return (content.elementsEqual(revised), revised)
                    }
                }
                if !known { try transaction.set(documents, key, seal.sealed("documents", key, revised)) }
            }
            if let position { state.forgotten = max(state.forgotten, position) }
            try set(state, transaction)
        }
    }
}
