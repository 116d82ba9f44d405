import LMDB

/// Checking the whole index: every row is as it was written, none is missing, none is too many.
extension LookupIndex {
    /// Checks one database after the other.
    ///
    /// - Parameter goOn: called for each row; what it throws ends the check.
    /// - Throws: `LookupDamage` for the first thing that is wrong.
    func verify(_ goOn: () throws -> Void) throws {
        for part in parts { try read { try part($0, goOn) } }
    }

    /// What is wrong, for each database the first thing.
    func damages() throws -> [LookupDamage] {
        let parts = parts
        return try Parallel.map(parts.count) { _, part in
            Result { () throws -> LookupDamage? in
                do {
                    try self.read { try parts[part]($0, {}) }
                    return nil
                } catch let damage as LookupDamage {
                    return damage
                }
            }
        }.compactMap { try $0.get() }
    }

    private var parts: [@Sendable (borrowing ReadTransaction, () throws -> Void) throws -> Void] {
        [
            verifyRequests,
            { try self.verifyBlocks(self.documents, "documents", $0, $1) },
            { try self.verifyBlocks(self.leaves, "leaves", $0, $1) },
            { try self.verifyNames(self.types, "types", self.state($0).typeRows, $0, $1) },
            { try self.verifyNames(self.submitters, "submitters", self.state($0).submitterRows, $0, $1) },
            { transaction, _ in
                guard try transaction.count(self.meta) == 3 else {
                    throw LookupDamage("'meta' has rows that are not its own")
                }
            },
        ]
    }

    /// The rows follow one another without a gap from the least key to the greatest, and hold a key for each entry.
    @Sendable private func verifyRequests(
        _ transaction: borrowing ReadTransaction,
        _ goOn: () throws -> Void
    ) throws {
        let state = try state(transaction)
        let seal = LookupSeal()
        var low: RequestReference? = .least
        var count: UInt64 = 0
        try transaction.forEach(requests) { key, value in
            try goOn()
            let segment = try RequestSegment(key: key, value: value, seal)
            guard segment.low == low else { throw LookupDamage("a row of 'requests' is missing") }
            low = segment.next
            count += UInt64(segment.records.count)
            guard segment.records.allSatisfy({ $0.index < state.indexed }) else {
                throw LookupDamage("a row of 'requests' names an entry it does not hold")
            }
        }
        guard low == (state.indexed > 0 ? nil : .least), count == state.indexed - min(state.repeated, state.indexed)
        else { throw LookupDamage("'requests' holds \(count) keys of \(state.indexed) entries") }
    }

    /// There is a row for each block.
    private func verifyBlocks(
        _ database: Database,
        _ name: String,
        _ transaction: borrowing ReadTransaction,
        _ goOn: () throws -> Void
    ) throws {
        let state = try state(transaction)
        let blocks = state.indexed / LookupBlock.entries
        var unread: UInt64 = 0
        let seal = LookupSeal()
        var next: UInt64 = 0
        try transaction.forEach(database) { key, value in
            try goOn()
            guard key.elementsEqual(LookupIndex.key(UInt32(truncatingIfNeeded: next))) else {
                throw LookupDamage("a row of '\(name)' is out of place")
            }
            let content = try seal.open(name, key, value)
            if name == "documents" { unread += UInt64(LookupBlock.unread(content)) }
            next += 1
        }
        guard next == blocks else { throw LookupDamage("'\(name)' has \(next) rows for \(blocks) blocks") }
        guard name != "documents" || unread == state.unread else {
            throw LookupDamage("'\(name)' does not know the documents of \(unread) entries, of \(state.unread) stated")
        }
    }

    /// There are as many rows as were written.
    private func verifyNames(
        _ database: Database,
        _ name: String,
        _ rows: UInt64,
        _ transaction: borrowing ReadTransaction,
        _ goOn: () throws -> Void
    ) throws {
        let seal = LookupSeal()
        var count: UInt64 = 0
        try transaction.forEach(database) { key, value in
            try goOn()
            _ = try seal.open(name, key, value)
            count += 1
        }
        guard count == rows else { throw LookupDamage("'\(name)' has \(count) rows of \(rows)") }
    }
}
