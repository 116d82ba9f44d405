import LedgerFormat
import Merkle
import OpenSSL

/// What the look-up index holds of 16,384 entries that follow one another: rows that are made once and never touched
/// again, few but for the request keys, so that keys that fall at random cost hardly more than those that grow
/// (`ledger-format.md` section 9).
struct LookupBlock {
    /// Entries of a block.
    static let entries: UInt64 = 1 << 14
    /// Number of the block: that of its first entry divided by the size.
    let number: UInt32
    /// For each document digest the key's 16 bytes and the entry's offset in the block (u16), ascending; for an entry whose
    /// documents are not known 16 bytes 0xff and its offset.
    let documents: [UInt8]
    /// For each entry the first 8 bytes of its leaf hash and its offset (u16), ascending.
    let leaves: [UInt8]
    /// For each type the offsets of its entries (u16), ascending.
    let types: [String: [UInt8]]
    /// The same for each submitter.
    let submitters: [String: [UInt8]]

    static let documentBytes = 18
    /// Stands for the documents of an entry that are not known.
    private static let unreadKey = ID128(high: .max, low: .max)
    static let leafBytes = 10

    /// - Parameter records: those of a whole block, in ledger order.
    init(_ records: some Collection<LookupRecord>, hash: KeyedHash) {
        precondition(UInt64(records.count) == LookupBlock.entries)
        number = UInt32(truncatingIfNeeded: (records.first?.index ?? 0) / LookupBlock.entries)
        var keys: [(key: ID128, offset: UInt16)] = []
        var hashes: [(prefix: UInt64, offset: UInt16)] = []
        keys.reserveCapacity(records.count)
        hashes.reserveCapacity(records.count)
        var types = Postings()
        var submitters = Postings()
        for record in records {
            let offset = UInt16(truncatingIfNeeded: record.index % LookupBlock.entries)
            keys += LookupBlock.keys(record.documents, hash).map { ($0, offset) }
            hashes.append((ID128(prefix: record.leaf).high, offset))
            types.add(record.type, offset)
            submitters.add(record.submitter, offset)
        }
        hashes.sort { ($0.prefix, $0.offset) < ($1.prefix, $1.offset) }
        var leaves: [UInt8] = []
        leaves.reserveCapacity(hashes.count * LookupBlock.leafBytes)
        for (prefix, offset) in hashes {
            withUnsafeBytes(of: prefix.bigEndian) { leaves.append(contentsOf: $0) }
            LookupBlock.append(offset, &leaves)
        }
        documents = LookupBlock.row(&keys)
        self.leaves = leaves
        self.types = types.rows
        self.submitters = submitters.rows
    }

    /// What a row of `documents` holds for an entry.
    static func keys(_ documents: DocumentDigests, _ hash: KeyedHash) -> [ID128] {
        guard !documents.isUnread else { return [unreadKey] }
        var keys: [ID128] = []
        documents.forEach { keys.append(DocumentKey($0, hash).value) }
        return keys
    }

    /// A row of `documents`.
    private static func row(_ records: inout [(key: ID128, offset: UInt16)]) -> [UInt8] {
        records.sort { ($0.key, $0.offset) < ($1.key, $1.offset) }
        var row: [UInt8] = []
        row.reserveCapacity(records.count * documentBytes)
        for (key, offset) in records {
            key.append(to: &row)
            append(offset, &row)
        }
        return row
    }

    /// A row of `documents` with other records of some of its entries.
    ///
    /// - Parameter changes: what it must hold of them, by their offsets.
    static func documents(
        _ row: UnsafeRawBufferPointer,
        changing changes: [UInt16: DocumentDigests],
        _ hash: KeyedHash
    ) -> [UInt8] {
        var records = documents(row).filter { changes[$0.offset] == nil }
        for (offset, documents) in changes { records += keys(documents, hash).map { ($0, offset) } }
        return self.row(&records)
    }

    /// The records of a row of `documents`, in their order.
    static func documents(_ row: UnsafeRawBufferPointer) -> [(key: ID128, offset: UInt16)] {
        func number(_ offset: Int) -> UInt64 {
            UInt64(bigEndian: row.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        return stride(from: 0, to: row.count - documentBytes + 1, by: documentBytes).map { start in
            let offset = row.loadUnaligned(fromByteOffset: start + 16, as: UInt16.self)
            return (ID128(high: number(start), low: number(start + 8)), UInt16(bigEndian: offset))
        }
    }

    /// Of how many entries a row of `documents` says that their documents are not known.
    static func unread(_ row: UnsafeRawBufferPointer) -> Int {
        // They are the last of the row: no key is greater.
        documents(row).reversed().prefix { $0.key == unreadKey }.count
    }

    /// Offsets under names; neighbours mostly have the same name.
    private struct Postings {
        private(set) var rows: [String: [UInt8]] = [:]

        mutating func add(_ name: String, _ offset: UInt16) {
            LookupBlock.append(offset, &rows[name, default: []])
        }
    }

    private static func append(_ offset: UInt16, _ bytes: inout [UInt8]) {
        bytes.append(UInt8(offset >> 8))
        bytes.append(UInt8(offset & 255))
    }

    /// The offsets of a row of `types` or `submitters`.
    static func offsets(_ row: UnsafeRawBufferPointer) -> [UInt16] {
        stride(from: 0, to: row.count - 1, by: 2).map { UInt16(row[$0]) << 8 | UInt16(row[$0 + 1]) }
    }

    /// The offsets of the records of a sorted row that begin with `prefix`.
    ///
    /// - Parameter width: bytes of a record, its offset the last two.
    static func offsets(_ row: UnsafeRawBufferPointer, beginningWith prefix: [UInt8], width: Int) -> [UInt16] {
        let count = row.count / width
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if row[middle * width..<middle * width + prefix.count].lexicographicallyPrecedes(prefix) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        var found: [UInt16] = []
        while low < count, row[low * width..<low * width + prefix.count].elementsEqual(prefix) {
            let end = (low + 1) * width
            found.append(UInt16(row[end - 2]) << 8 | UInt16(row[end - 1]))
            low += 1
        }
        return found
    }
}
