import LMDB
import LedgerFormat

/// What a row of `streams` says: which number of a stream an entry is. Such rows are derived, and their links cover the
/// keys only; so one is believed only where the entry it names says the same (`ledger-format.md` section 9).
struct StreamRow: Equatable {
    let number: UInt64
    /// Of the entry.
    let index: UInt64

    /// - Throws: `StoreDamage` where the entry does not have this number in the stream.
    func require(_ entry: Entry, in stream: StreamID) throws(StoreDamage) {
        // Numbers end before that: Int64 holds every one an entry has.
        guard let number = Int64(exactly: number),
            entry.streams.contains(Entry.Membership(stream: stream, number: number))
        else {
            throw StoreDamage(index, "the entry is not number \(number), as the row of the stream says", of: stream)
        }
    }
}

extension StoreSchema {
    /// How many entries a stream has.
    ///
    /// The next entry is signed with what this says; so the newest row is believed only where nothing is missing behind it
    /// and the entry it names says the same, and that there is none only where it is proven.
    ///
    /// - Throws: `StoreDamage`.
    func length(_ transaction: borrowing some Readable & ~Copyable, of stream: StreamID) throws -> UInt64 {
        let prefix = StoreKey.stream(stream)
        let newest = try streams.withFloor(transaction, StoreKey.stream(stream, number: .max)) { key, content in
            key.starts(with: prefix)
                ? (number: StoreKey.readNumber(key.dropFirst(prefix.count)), index: StoreKey.readNumber(content)) : nil
        }
        guard let newest else { return 0 }
        guard let number = newest.number, let index = newest.index, number < Int64.max else {
            throw StoreDamage(nil, "a row of the stream is malformed", of: stream)
        }
        _ = try entry(transaction, of: StreamRow(number: number, index: index), in: stream)
        return number + 1
    }

    /// Rows of a stream whose entries stand at `from` or after it, or at it or before it with `reverse`; at most `limit`.
    /// What they say, whoever uses them has to hold against their entries (`StreamRow.require`); where they begin is known.
    ///
    /// - Throws: `StoreDamage`.
    func rows(
        of stream: StreamID,
        _ transaction: borrowing ReadTransaction,
        from: UInt64,
        limit: Int,
        reverse: Bool
    ) throws -> [StreamRow] {
        let length = try length(transaction, of: stream)
        // An entry's number in the stream grows with its index, so the beginning is found by halving. A row that lied on
        // the way would lead astray.
        var low: UInt64 = 0
        var high = length
        while low < high {
            let middle = low + (high - low) / 2
            let row = try row(transaction, number: middle, of: stream)
            _ = try entry(transaction, of: row, in: stream)
            if row.index == from {
                low = reverse ? middle + 1 : middle
                break
            }
            if row.index < from { low = middle + 1 } else { high = middle }
        }
        // Reversed, what stands before the border is asked for, else what stands behind it.
        let numbers = reverse ? (0..<low).suffix(limit) : (low..<length).prefix(limit)
        let rows = try numbers.map { try row(transaction, number: $0, of: stream) }
        return reverse ? rows.reversed() : rows
    }

    /// The row of a number that the stream has.
    private func row(
        _ transaction: borrowing ReadTransaction,
        number: UInt64,
        of stream: StreamID
    ) throws -> StreamRow {
        let key = StoreKey.stream(stream, number: number)
        guard let index = try streams.withContent(transaction, key, { StoreKey.readNumber($0) }).flatMap({ $0 }) else {
            throw StoreDamage(nil, "the stream has no number \(number)", of: stream)
        }
        return StreamRow(number: number, index: index)
    }

    /// The entry that a row of a stream names.
    ///
    /// - Throws: `StoreDamage` where there is none, or it does not say the same.
    func entry(
        _ transaction: borrowing some Readable & ~Copyable,
        of row: StreamRow,
        in stream: StreamID
    ) throws -> Entry {
        let bytes = try entry(transaction, row.index)
        let entry: Entry
        do throws(EntryError) {
            entry = try Entry(bytes)
        } catch {
            throw StoreDamage(row.index, "the entry is malformed: \(error)")
        }
        try row.require(entry, in: stream)
        return entry
    }
}
