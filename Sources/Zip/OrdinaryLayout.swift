/// The layout of any ordinary ZIP archive (APPNOTE.TXT 6.3, without ZIP64): what people's own programs make of a
/// bundle's members. Members are stored or deflated, in any order, and may have extra fields and comments.
///
/// Every reader finds the same members in it, whether it goes by the directory or from the first byte on: each stands
/// once, under one name in directory and local header; they follow one another without a gap up to the directory; there is
/// no second directory. What members claim to hold is bounded.
struct OrdinaryLayout {
    /// The most bytes all members may claim to hold: as many as an archive of the plain layout can.
    static let maximumContent: UInt64 = ZipLayout.maximumBytes
    /// As far before the end as a reader looks for the end record: its comment may have 65,535 bytes.
    private static let maximumTail: UInt64 = 65_557
    private static let endSignature: UInt32 = 0x0605_4B50

    /// In the order of the directory. Those of directories are left out.
    let members: [ZipMember]

    /// Reads and checks the layout of a file.
    ///
    /// - Parameter read: gives exactly so many bytes from an offset on; it is asked for bytes within `size` only.
    init(size: UInt64, read: (_ offset: UInt64, _ count: Int) throws -> [UInt8]) throws {
        guard size <= ZipLayout.maximumBytes else { throw ZipError(.tooLarge) }
        let (directory, count, offset) = try OrdinaryLayout.directory(size: size, read: read)
        var record = Fields(directory)
        var headers: [OrdinaryHeader] = []
        var names: Set<[UInt8]> = []
        var content: UInt64 = 0
        for ordinal in 0..<count {
            let header = try OrdinaryHeader(&record, ordinal: ordinal)
            guard names.insert(header.name).inserted else { throw ZipError(.duplicate, member: header.shown) }
            content += header.size
            guard content <= OrdinaryLayout.maximumContent else {
                throw ZipError(.memberTooLarge, member: header.shown)
            }
            headers.append(header)
        }
        guard record.isAtEnd else { throw ZipError(.endRecord) }
        var stored: [UInt64: Range<UInt64>] = [:]
        var position: UInt64 = 0
        let inPlace = headers.sorted { $0.offset < $1.offset }
        for (header, next) in zip(inPlace, inPlace.dropFirst().map(\.offset) + [offset]) {
            // Bytes of no member may be a member to who reads from the first byte on; bytes of two make much of little.
            guard header.offset == position else { throw ZipError(.place, member: header.shown) }
            stored[position] = try header.content(before: next, read: read)
            position = next
        }
        guard position == offset else { throw ZipError(.endRecord) }
        members = headers.compactMap { header in
            guard !header.isDirectory, let stored = stored[header.offset] else { return nil }
            let place = ZipMember.Place(stored: stored, isDeflated: header.isDeflated, crc: header.crc)
            return ZipMember(bytes: header.name, size: header.size, place: place)
        }
    }

    /// The directory's bytes, the number of its records, and where it begins.
    private static func directory(
        size: UInt64,
        read: (UInt64, Int) throws -> [UInt8]
    ) throws -> (bytes: [UInt8], count: Int, offset: UInt64) {
        // The end record is the last thing in the file, but for a comment whose length it states.
        let before = size - min(size, maximumTail)
        let tail = try read(before, Int(size - before))
        let ends = tail.indices.dropLast(3).filter { tail[$0..<$0 + 4].isNumber(endSignature) }
        let start = ends.last { start in
            start + ZipLayout.endBytes <= tail.count
                && start + ZipLayout.endBytes + Int(tail[start + 20]) + Int(tail[start + 21]) << 8 == tail.count
        }
        guard let start else { throw ZipError(.notAnArchive) }
        var record = Fields(Array(tail[start..<start + ZipLayout.endBytes]))
        _ = record.take32()
        guard record.take16() == 0, record.take16() == 0 else { throw ZipError(.severalParts) }
        let count = Int(record.take16())
        guard Int(record.take16()) == count else { throw ZipError(.severalParts) }
        let (bytes, offset) = (UInt64(record.take32()), UInt64(record.take32()))
        guard count <= ZipLayout.maximumMembers, offset != 0xFFFF_FFFF else { throw ZipError(.tooLarge) }
        let end = size - UInt64(tail.count - start)
        guard offset + bytes == end, bytes <= 1 << 28 else { throw ZipError(.endRecord) }
        let directory = try read(offset, Int(bytes))
        // Some readers take the first end record that leads somewhere, some what the locator of ZIP64 leads to.
        let isSecond = try ends.contains { other in
            guard other != start else { return false }
            guard before + UInt64(other) < offset else { return true }
            let place = UInt64(tail[other + 16..<other + 20].number)
            return try place + 4 <= size && ArraySlice(read(place, 4)).isNumber(0x0201_4B50)
        }
        let isElsewhere = directory.indices.dropLast(3).contains { directory[$0..<$0 + 4].isNumber(endSignature) }
        let isLocated = directory.count >= 20 && directory[(directory.count - 20)...].prefix(4).isNumber(0x0706_4B50)
        guard !isSecond, !isElsewhere, !isLocated else { throw ZipError(.secondDirectory) }
        return (directory, count, offset)
    }
}

extension ArraySlice<UInt8> {
    /// The number they are in little-endian order: at most four bytes.
    fileprivate var number: UInt32 { reversed().reduce(0) { $0 << 8 | UInt32($1) } }

    /// Whether these four bytes are a number in little-endian order.
    fileprivate func isNumber(_ other: UInt32) -> Bool { count == 4 && number == other }
}

/// One record of the directory.
private struct OrdinaryHeader {
    /// Without the slash that ends the name of a directory.
    let name: [UInt8]
    let size: UInt64
    let isDirectory: Bool
    let crc: UInt32
    /// Where the local header begins.
    let offset: UInt64
    private let stored: UInt64
    private let method: UInt16
    private let flags: UInt16

    /// Bit 3: sizes and checksum follow the content, and the local header need not state them.
    private static let describedBehind: UInt16 = 1 << 3
    /// Bits 1 and 2 say how deflate was tuned: nothing to a reader.
    private static let tuning: UInt16 = 1 << 1 | 1 << 2
    /// Bit 11 says that the name is UTF-8.
    private static let harmless: UInt16 = tuning | describedBehind | 1 << 11
    private static let deflated: UInt16 = 8
    /// What MS-DOS calls a directory, in the lower half of the attributes.
    private static let dosDirectory: UInt32 = 0x10
    /// No content at all, deflated: as some programs have it for directories.
    private static let nothing: [UInt8] = [3, 0]
    private static let descriptorSignature: UInt32 = 0x0807_4B50

    init(_ record: inout Fields, ordinal: Int) throws {
        guard record.left >= ZipLayout.centralBytes, record.take32() == 0x0201_4B50 else { throw ZipError(.endRecord) }
        _ = record.take32()
        flags = record.take16()
        method = record.take16()
        _ = record.take32()
        crc = record.take32()
        (stored, size) = (UInt64(record.take32()), UInt64(record.take32()))
        let (nameBytes, extraBytes, commentBytes) = (record.take16(), record.take16(), record.take16())
        let part = record.take16()
        _ = record.take16()
        let attributes = record.take32()
        offset = UInt64(record.take32())
        guard record.left >= Int(nameBytes) + Int(extraBytes) + Int(commentBytes) else { throw ZipError(.endRecord) }
        let whole = Array(record.take(Int(nameBytes)))
        let extra = Array(record.take(Int(extraBytes)))
        _ = record.take(Int(commentBytes))
        isDirectory = whole.last == UInt8(ascii: "/")
        name = isDirectory ? whole.dropLast() : whole
        let shown = ZipName.isPath(name) ? String(decoding: name, as: UTF8.self) : "#\(ordinal)"
        func require(_ condition: Bool, _ rule: ZipError.Rule) throws {
            guard condition else { throw ZipError(rule, member: shown) }
        }
        try require(!whole.contains(UInt8(ascii: "\\")), .backslash)
        try require(ZipName.isPath(name), .name)
        try require(flags & 1 == 0, .encrypted)
        try require(flags & ~OrdinaryHeader.harmless == 0, .flags)
        try require(method == 0 || method == OrdinaryHeader.deflated, .method)
        try require(part == 0, .severalParts)
        try require(stored != 0xFFFF_FFFF && size != 0xFFFF_FFFF && offset != 0xFFFF_FFFF, .tooLarge)
        try require(method != 0 || stored == size, .size)
        // Whatever made it: readers go by the mode where there is one.
        let kind = attributes >> 28
        try require(kind == 0 || kind == 8 || isDirectory && kind == 4, .link)
        try require(isDirectory || attributes & OrdinaryHeader.dosDirectory == 0, .link)
        try require(!isDirectory || size == 0 && crc == 0 && (isDeflated ? stored == 2 : stored == 0), .size)
        try require(ExtraFields.areHarmless(extra, of: whole), .secondMeaning)
    }

    var isDeflated: Bool { method == OrdinaryHeader.deflated }

    /// The name as text; what is not UTF-8 in it is U+FFFD.
    var shown: String { String(decoding: name, as: UTF8.self) }

    /// Where the stored bytes are, once the local header agrees with the directory, and everything up to the next member,
    /// or the directory, is this one's.
    func content(before end: UInt64, read: (UInt64, Int) throws -> [UInt8]) throws -> Range<UInt64> {
        let fixed = UInt64(ZipLayout.localBytes)
        guard offset + fixed <= end else { throw ZipError(.place, member: shown) }
        var local = Fields(try read(offset, ZipLayout.localBytes))
        guard local.take32() == 0x0403_4B50 else { throw ZipError(.localHeader, member: shown) }
        _ = local.take16()
        let (flags, method) = (local.take16(), local.take16())
        _ = local.take32()
        let (crc, stored, size) = (local.take32(), UInt64(local.take32()), UInt64(local.take32()))
        let (nameBytes, extraBytes) = (UInt64(local.take16()), UInt64(local.take16()))
        let start = offset + fixed + nameBytes + extraBytes
        guard start + self.stored <= end else { throw ZipError(.overlap, member: shown) }
        let name = try read(offset + fixed, Int(nameBytes))
        let extra = try read(offset + fixed + nameBytes, Int(extraBytes))
        // Who reads from the first byte on learns sizes of stored members here, and finds the end of deflated ones itself.
        let isDescribed = flags & OrdinaryHeader.describedBehind != 0
        guard name == self.name + (isDirectory ? [UInt8(ascii: "/")] : []), method == self.method,
            flags | OrdinaryHeader.tuning == self.flags | OrdinaryHeader.tuning,
            crc == self.crc || isDescribed && crc == 0,
            stored == self.stored || isDescribed && isDeflated && stored == 0,
            size == self.size || isDescribed && isDeflated && size == 0
        else { throw ZipError(.localHeader, member: shown) }
        guard ExtraFields.areHarmless(extra, of: name) else { throw ZipError(.secondMeaning, member: shown) }
        let content = start..<start + self.stored
        let behind = try read(content.upperBound, Int(min(end - content.upperBound, 17)))
        guard isDescribed ? isDescriptor(behind) : behind.isEmpty else { throw ZipError(.place, member: shown) }
        if isDirectory, isDeflated {
            guard try read(start, 2) == OrdinaryHeader.nothing else { throw ZipError(.size, member: shown) }
        }
        return content
    }

    /// Whether bytes behind a content repeat checksum and sizes, with a signature or without one.
    private func isDescriptor(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == 12 || bytes.count == 16 else { return false }
        var fields = Fields(bytes)
        let isSigned = bytes.prefix(4).isNumber(OrdinaryHeader.descriptorSignature)
        guard isSigned == (bytes.count == 16) else { return false }
        if isSigned { _ = fields.take32() }
        return fields.take32() == crc && UInt64(fields.take32()) == stored && UInt64(fields.take32()) == size
    }
}
