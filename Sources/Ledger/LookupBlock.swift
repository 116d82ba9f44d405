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
    /// For each document digest the key's 16 bytes and the entry's offset in the block (u16), ascending.
    let documents: [UInt8]
    /// For each entry the first 8 bytes of its leaf hash and its offset (u16), ascending.
    let leaves: [UInt8]
    /// For each type the offsets of its entries (u16), ascending.
    let types: [String: [UInt8]]
    /// The same for each submitter.
    let submitters: [String: [UInt8]]

    static let documentBytes = 18
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
            record.documents.forEach { keys.append((DocumentKey($0, hash).value, offset)) }
            hashes.append((ID128(prefix: record.leaf).high, offset))
            types.add(record.type, offset)
            submitters.add(record.submitter, offset)
        }
        keys.sort { ($0.key, $0.offset) < ($1.key, $1.offset) }
        hashes.sort { ($0.prefix, $0.offset) < ($1.prefix, $1.offset) }
        var documents: [UInt8] = []
        documents.reserveCapacity(keys.count * LookupBlock.documentBytes)
        for (key, offset) in keys {
            key.append(to: &documents)
            LookupBlock.append(offset, &documents)
        }
        var leaves: [UInt8] = []
        leaves.reserveCapacity(hashes.count * LookupBlock.leafBytes)
        for (prefix, offset) in hashes {
            withUnsafeBytes(of: prefix.bigEndian) { leaves.append(contentsOf: $0) }
            LookupBlock.append(offset, &leaves)
        }
        self.documents = documents
        self.leaves = leaves
        self.types = types.rows
        self.submitters = submitters.rows
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
