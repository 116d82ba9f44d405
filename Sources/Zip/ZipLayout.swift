/// The fixed layout a bundle's archive has (`ledger-format.md` section 14), checked on the bytes themselves.
///
/// Readers of ZIP files disagree where local headers and the directory differ, where members overlap, or where something
/// stands before, between or behind them. An archive of this layout leaves nothing to disagree about: headers and
/// contents follow one another from the first byte on, then the directory, then the end record, and every field of
/// every header has one possible value, given names, sizes and checksums.
struct ZipLayout {
    static let maximumMembers = 65_534
    static let maximumBytes: UInt64 = 0xFFFF_FFFE
    static let localBytes = 30
    static let centralBytes = 46
    static let endBytes = 22
    /// 1980-01-01 in the form of MS-DOS.
    static let dosDate: UInt16 = 0x21
    /// A regular file of mode 0644, in the upper half as Unix wants it.
    static let attributes: UInt32 = 0o100644 << 16
    /// The system whose modes the attributes hold.
    static let unix: UInt16 = 3
    /// ZIP 1.0 or 2.0 is all it takes to extract a stored file.
    static let extractors: [UInt16] = [10, 20]

    let members: [ZipMember]

    /// Reads and checks the layout of a file.
    ///
    /// - Parameter read: gives exactly so many bytes from an offset on; it is asked for bytes within `size` only.
    init(size: UInt64, read: (_ offset: UInt64, _ count: Int) throws -> [UInt8]) throws {
        guard size >= UInt64(ZipLayout.endBytes) else { throw ZipError(.notAnArchive) }
        guard size <= ZipLayout.maximumBytes else { throw ZipError(.tooLarge) }
        let (directory, count, offset) = try ZipLayout.directory(size: size, read: read)
        var members: [ZipMember] = []
        members.reserveCapacity(count)
        var record = Fields(directory)
        var position: UInt64 = 0
        for ordinal in 0..<count {
            let header = try CentralHeader(&record, ordinal: ordinal, archiveBytes: size)
            if let last = members.last, !last.name.utf8.lexicographicallyPrecedes(header.name.utf8) {
                throw ZipError(last.name == header.name ? .duplicate : .order, member: header.name)
            }
            guard header.offset == position else { throw ZipError(.place, member: header.name) }
            let local = header.expectedLocal
            guard position + UInt64(local.count) + header.size <= offset else {
                throw ZipError(.size, member: header.name)
            }
            guard try read(position, local.count) == local else { throw ZipError(.localHeader, member: header.name) }
            let content = position + UInt64(local.count)
            position = content + header.size
            let place = ZipMember.Place(stored: content..<position, isDeflated: false, crc: header.crc)
            members.append(ZipMember(bytes: Array(header.name.utf8), size: header.size, place: place))
        }
        guard record.isAtEnd, position == offset else { throw ZipError(.endRecord) }
        self.members = members
    }

    /// The directory's bytes, the number of its records, and where it begins.
    private static func directory(
        size: UInt64,
        read: (UInt64, Int) throws -> [UInt8]
    ) throws -> (bytes: [UInt8], count: Int, offset: UInt64) {
        let end = size - UInt64(endBytes)
        var record = Fields(try read(end, endBytes))
        guard record.take32() == 0x0605_4B50 else {
            // Either no archive at all, or one with something behind its end record.
            let tail = Int(min(size, 65_557))
            let bytes = try read(size - UInt64(tail), tail)
            let signature: [UInt8] = [0x50, 0x4B, 0x05, 0x06]
            let found = bytes.indices.dropLast(3).contains { bytes[$0..<$0 + 4].elementsEqual(signature) }
            throw ZipError(found ? .trailingBytes : .notAnArchive)
        }
        guard record.take16() == 0, record.take16() == 0 else { throw ZipError(.severalParts) }
        let count = Int(record.take16())
        guard Int(record.take16()) == count else { throw ZipError(.severalParts) }
        guard count <= maximumMembers else { throw ZipError(.tooLarge) }
        let (bytes, offset) = (UInt64(record.take32()), UInt64(record.take32()))
        guard record.take16() == 0 else { throw ZipError(.trailingBytes) }
        guard offset + bytes == end, bytes <= UInt64(count * (centralBytes + 100)) else { throw ZipError(.endRecord) }
        return (try read(offset, Int(bytes)), count, offset)
    }
}

/// One record of the directory.
private struct CentralHeader {
    let name: String
    let size: UInt64
    let offset: UInt64
    let crc: UInt32
    private let extractor: UInt16

    init(_ record: inout Fields, ordinal: Int, archiveBytes: UInt64) throws {
        guard record.left >= ZipLayout.centralBytes, record.take32() == 0x0201_4B50 else { throw ZipError(.endRecord) }
        let madeBy = record.take16()
        extractor = record.take16()
        let flags = record.take16()
        let method = record.take16()
        let (time, date) = (record.take16(), record.take16())
        crc = record.take32()
        let (stored, size) = (UInt64(record.take32()), UInt64(record.take32()))
        let (nameBytes, extraBytes, commentBytes) = (Int(record.take16()), record.take16(), record.take16())
        let (part, internalAttributes, attributes) = (record.take16(), record.take16(), record.take32())
        offset = UInt64(record.take32())
        guard record.left >= nameBytes else { throw ZipError(.endRecord) }
        let bytes = record.take(nameBytes)
        guard ZipMember.isName(bytes) else { throw ZipError(.name, member: "#\(ordinal)") }
        name = String(decoding: bytes, as: UTF8.self)
        self.size = size
        func require(_ condition: Bool, _ rule: ZipError.Rule) throws {
            guard condition else { throw ZipError(rule, member: String(decoding: bytes, as: UTF8.self)) }
        }
        try require(flags & 1 == 0, .encrypted)
        try require(flags == 0, .flags)
        try require(method == 0, .compressed)
        try require(ZipLayout.extractors.contains(extractor), .flags)
        try require(time == 0 && date == ZipLayout.dosDate, .time)
        try require(stored == size && size <= archiveBytes, .size)
        try require(extraBytes == 0, .extraFields)
        try require(commentBytes == 0, .comment)
        try require(part == 0, .severalParts)
        try require(
            madeBy >> 8 == ZipLayout.unix && attributes == ZipLayout.attributes && internalAttributes <= 1,
            .mode
        )
    }

    /// The local header there has to be.
    var expectedLocal: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(ZipLayout.localBytes + name.utf8.count)
        func add16(_ value: UInt16) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
        func add32(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
        add32(0x0403_4B50)
        add16(extractor)
        add16(0)
        add16(0)
        add16(0)
        add16(ZipLayout.dosDate)
        add32(crc)
        add32(UInt32(truncatingIfNeeded: size))
        add32(UInt32(truncatingIfNeeded: size))
        add16(UInt16(truncatingIfNeeded: name.utf8.count))
        add16(0)
        bytes.append(contentsOf: name.utf8)
        return bytes
    }
}
