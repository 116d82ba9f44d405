import LedgerFormat

/// A row of the look-up index's `requests`: all request keys from its own key up to that of the next row, and which
/// entries they made. It states where it ends, so that it can show that a key is *not* there, and a row that is missing
/// shows in the one before it (`ledger-format.md` section 9).
struct RequestSegment {
    /// A request key and the first entry it made.
    struct Record {
        let reference: RequestReference
        let index: UInt64
    }

    /// Records a row takes: four such rows fill a page of 4,096 bytes.
    static let capacity = 28
    static let database = "requests"
    /// Bytes of a record: the key and the index.
    static let recordBytes = RequestReference.bytes + 8
    /// Where a segment ends that is the last one.
    static let end = [UInt8](repeating: 0xFF, count: RequestReference.bytes)

    /// The least key of the segment.
    let low: RequestReference
    /// The least key of the next one; nil where this is the last.
    let next: RequestReference?
    /// Ascending by their keys.
    let records: [Record]

    /// All there can be, before anything is stored.
    static let whole = RequestSegment(low: .least, next: nil, records: [])

    private init(low: RequestReference, next: RequestReference?, records: [Record]) {
        self.low = low
        self.next = next
        self.records = records
    }

    /// Reads a row.
    ///
    /// - Throws: `LookupDamage` where it is not as it was written, or its keys do not ascend within its limits.
    init(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, _ seal: LookupSeal) throws(LookupDamage) {
        let content = try seal.open(RequestSegment.database, key, value)
        let width = RequestSegment.recordBytes
        guard key.count == RequestReference.bytes, content.count >= RequestReference.bytes,
            (content.count - RequestReference.bytes) % width == 0
        else { throw LookupDamage("a row of 'requests' has no whole number of keys") }
        low = RequestReference(content: key, at: 0)
        next =
            content.prefix(RequestReference.bytes).elementsEqual(RequestSegment.end)
            ? nil : RequestReference(content: content, at: 0)
        var records: [Record] = []
        records.reserveCapacity(content.count / width)
        for offset in stride(from: RequestReference.bytes, to: content.count, by: width) {
            let reference = RequestReference(content: content, at: offset)
            guard records.last.map({ $0.reference < reference }) ?? (low <= reference) else {
                throw LookupDamage("keys in 'requests' are out of order")
            }
            let index = content.loadUnaligned(fromByteOffset: offset + RequestReference.bytes, as: UInt64.self)
            records.append(Record(reference: reference, index: UInt64(bigEndian: index)))
        }
        self.records = records
        guard records.last.map({ covers($0.reference) }) ?? true, next.map({ low < $0 }) ?? true else {
            throw LookupDamage("a row of 'requests' reaches beyond its end")
        }
    }

    var key: [UInt8] { low.encoded }

    /// The value of the row.
    func sealed(_ seal: LookupSeal) -> [UInt8] {
        var content = next?.encoded ?? RequestSegment.end
        content.reserveCapacity(RequestReference.bytes + records.count * RequestSegment.recordBytes)
        for record in records {
            record.reference.append(to: &content)
            withUnsafeBytes(of: record.index.bigEndian) { content.append(contentsOf: $0) }
        }
        return seal.sealed(RequestSegment.database, key, content)
    }

    /// Whether the key, where there is one, is among this segment's.
    func covers(_ reference: RequestReference) -> Bool {
        low <= reference && next.map { reference < $0 } ?? true
    }

    /// The entry that a key made; nil where it made none.
    func index(of reference: RequestReference) -> UInt64? {
        var below = 0
        var above = records.count
        while below < above {
            let middle = (below + above) / 2
            if records[middle].reference < reference { below = middle + 1 } else { above = middle }
        }
        guard below < records.count, records[below].reference == reference else { return nil }
        return records[below].index
    }

    /// The segments that take its place with further records.
    ///
    /// - Parameter added: ascending by key, then by index; all are covered.
    /// - Returns: also the records whose key had made an entry already: that one counts.
    func merged(with added: [Record]) -> (segments: [RequestSegment], repeated: [Record]) {
        var all: [Record] = []
        all.reserveCapacity(records.count + added.count)
        var repeated: [Record] = []
        var old = records[...]
        for record in added {
            while let first = old.first, first.reference <= record.reference { all.append(old.removeFirst()) }
            if all.last?.reference == record.reference {
                repeated.append(record)
            } else {
                all.append(record)
            }
        }
        // Keys that grow with time are followed by others, so their rows are filled; others are left room.
        let grows = old.isEmpty
        all += old
        let count = max(1, (all.count + RequestSegment.capacity - 1) / RequestSegment.capacity)
        let width = grows ? RequestSegment.capacity : (all.count + count - 1) / count
        let starts = Array(stride(from: 0, to: max(all.count, 1), by: max(width, 1)))
        let segments = starts.enumerated().map { position, start in
            let end = min(start + width, all.count)
            return RequestSegment(
                low: position == 0 ? low : all[start].reference,
                next: end < all.count ? all[end].reference : next,
                records: Array(all[start..<end])
            )
        }
        return (segments, repeated)
    }
}

extension RequestReference {
    /// Bytes of the key.
    static let bytes = 24
    static let least = RequestReference(
        submitter: SubmitterReference(value: 0),
        request: RequestKey(value: ID128(high: 0, low: 0))
    )

    /// Reads 24 bytes.
    init(content: UnsafeRawBufferPointer, at offset: Int) {
        func number(_ place: Int) -> UInt64 {
            UInt64(bigEndian: content.loadUnaligned(fromByteOffset: offset + place, as: UInt64.self))
        }
        self.init(
            submitter: SubmitterReference(value: number(0)),
            request: RequestKey(value: ID128(high: number(8), low: number(16)))
        )
    }

    var encoded: [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(RequestReference.bytes)
        append(to: &key)
        return key
    }
}
