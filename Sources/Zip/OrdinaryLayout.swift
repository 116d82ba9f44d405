/// The layout of any ordinary ZIP archive (APPNOTE.TXT 6.3, without ZIP64): what people's own programs make of a
/// bundle's members. Members are stored or deflated, in any order, and may have extra fields and comments.
///
/// Every reader finds the same members in it: each stands once, under one name in directory and local header, and none
/// overlaps another. What members claim to hold is bounded.
struct OrdinaryLayout {
    /// The most bytes all members may claim to hold: as many as an archive of the plain layout can.
    static let maximumContent: UInt64 = ZipLayout.maximumBytes
    private static let maximumName = 1_024

    /// In the order of the directory. Those of directories are left out.
    let members: [Member]

    struct Member {
        /// The name's bytes, in whatever encoding.
        let name: [UInt8]
        let size: UInt64
        /// Position in the directory, from 0.
        let position: UInt64
    }

    /// Reads and checks the layout of a file.
    ///
    /// - Parameter read: gives exactly so many bytes from an offset on; it is asked for bytes within `size` only.
    init(size: UInt64, read: (_ offset: UInt64, _ count: Int) throws -> [UInt8]) throws {
        guard size <= ZipLayout.maximumBytes else { throw ZipError(.tooLarge) }
        let (directory, count, offset) = try OrdinaryLayout.directory(size: size, read: read)
        var record = Fields(directory)
        var members: [Member] = []
        var names: Set<[UInt8]> = []
        var places: [Range<UInt64>] = []
        var content: UInt64 = 0
        for ordinal in 0..<count {
            let header = try OrdinaryHeader(&record, ordinal: ordinal)
            guard names.insert(header.name).inserted else { throw ZipError(.duplicate, member: header.shown) }
            places.append(try header.place(before: offset, read: read))
            content += header.size
            guard content <= OrdinaryLayout.maximumContent else {
                throw ZipError(.memberTooLarge, member: header.shown)
            }
            guard !header.isDirectory else { continue }
            members.append(Member(name: header.name, size: header.size, position: UInt64(ordinal)))
        }
        guard record.isAtEnd else { throw ZipError(.endRecord) }
        // Members that share bytes are how a small archive claims to hold much, and how two readers see two things.
        let sorted = places.sorted { $0.lowerBound < $1.lowerBound }
        for (left, right) in zip(sorted, sorted.dropFirst()) where left.upperBound > right.lowerBound {
            throw ZipError(.damaged, detail: "members overlap")
        }
        self.members = members
    }

    /// Whether a name may be a path below a folder: no part empty, `.` or `..`, no backslash, no control character.
    fileprivate static func isPath(_ name: some Collection<UInt8>) -> Bool {
        guard 1...maximumName ~= name.count, name.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C }) else {
            return false
        }
        return name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
        }
    }

    /// The directory's bytes, the number of its records, and where it begins.
    private static func directory(
        size: UInt64,
        read: (UInt64, Int) throws -> [UInt8]
    ) throws -> (bytes: [UInt8], count: Int, offset: UInt64) {
        // The end record is the last thing in the file, but for a comment whose length it states.
        let tail = try read(size - min(size, 65_557), Int(min(size, 65_557)))
        let start = tail.indices.dropLast(ZipLayout.endBytes - 1).last { start in
            tail[start..<start + 4].isNumber(0x0605_4B50)
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
        return (try read(offset, Int(bytes)), count, offset)
    }
}

extension ArraySlice<UInt8> {
    /// Whether these four bytes are a number in little-endian order.
    fileprivate func isNumber(_ number: UInt32) -> Bool {
        elementsEqual((0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
    }
}

/// One record of the directory.
private struct OrdinaryHeader {
    /// Without the slash that ends the name of a directory.
    let name: [UInt8]
    let size: UInt64
    let isDirectory: Bool
    private let stored: UInt64
    private let crc: UInt32
    private let method: UInt16
    private let offset: UInt64

    /// Bit 3: sizes and checksum follow the content, and the local header need not state them.
    private static let describedBehind: UInt16 = 1 << 3
    /// Bits 1 and 2 say how deflate was tuned, bit 11 that the name is UTF-8.
    private static let harmless: UInt16 = 1 << 1 | 1 << 2 | describedBehind | 1 << 11
    private static let deflated: UInt16 = 8
    /// Systems whose upper half of the attributes is a mode of Unix: Unix and OS X.
    private static let unixes: [UInt16] = [3, 19]

    init(_ record: inout Fields, ordinal: Int) throws {
        guard record.left >= ZipLayout.centralBytes, record.take32() == 0x0201_4B50 else { throw ZipError(.endRecord) }
        let madeBy = record.take16() >> 8
        _ = record.take16()
        let flags = record.take16()
        method = record.take16()
        _ = record.take32()
        crc = record.take32()
        (stored, size) = (UInt64(record.take32()), UInt64(record.take32()))
        let (nameBytes, extraBytes, commentBytes) = (record.take16(), record.take16(), record.take16())
        let part = record.take16()
        _ = record.take16()
        let mode = record.take32() >> 16
        offset = UInt64(record.take32())
        guard record.left >= Int(nameBytes) + Int(extraBytes) + Int(commentBytes) else { throw ZipError(.endRecord) }
        let whole = Array(record.take(Int(nameBytes)))
        _ = record.take(Int(extraBytes) + Int(commentBytes))
        isDirectory = whole.last == UInt8(ascii: "/")
        name = isDirectory ? whole.dropLast() : whole
        let shown = OrdinaryLayout.isPath(name) ? String(decoding: name, as: UTF8.self) : "#\(ordinal)"
        func require(_ condition: Bool, _ rule: ZipError.Rule) throws {
            guard condition else { throw ZipError(rule, member: shown) }
        }
        try require(OrdinaryLayout.isPath(name), .name)
        try require(flags & 1 == 0, .encrypted)
        try require(flags & ~OrdinaryHeader.harmless == 0, .flags)
        try require(method == 0 || method == OrdinaryHeader.deflated, .method)
        try require(part == 0, .severalParts)
        try require(stored != 0xFFFF_FFFF && size != 0xFFFF_FFFF && offset != 0xFFFF_FFFF, .tooLarge)
        try require(method != 0 || stored == size, .size)
        if OrdinaryHeader.unixes.contains(madeBy), mode & 0o170000 != 0 {
            try require(mode & 0o170000 == 0o100000 || isDirectory && mode & 0o170000 == 0o040000, .link)
        }
        try require(!isDirectory || size == 0, .size)
    }

    /// The name for messages.
    var shown: String { String(decoding: name, as: UTF8.self) }

    /// The bytes from the local header to the end of the content, once the header agrees with the directory.
    func place(before end: UInt64, read: (UInt64, Int) throws -> [UInt8]) throws -> Range<UInt64> {
        let fixed = UInt64(ZipLayout.localBytes)
        guard offset + fixed <= end else { throw ZipError(.place, member: shown) }
        var local = Fields(try read(offset, ZipLayout.localBytes))
        guard local.take32() == 0x0403_4B50 else { throw ZipError(.localHeader, member: shown) }
        _ = local.take16()
        let (flags, method) = (local.take16(), local.take16())
        _ = local.take32()
        let (crc, stored, size) = (local.take32(), UInt64(local.take32()), UInt64(local.take32()))
        let (nameBytes, extraBytes) = (UInt64(local.take16()), UInt64(local.take16()))
        let content = offset + fixed + nameBytes + extraBytes
        guard content + self.stored <= end else { throw ZipError(.size, member: shown) }
        let name = try read(offset + fixed, Int(nameBytes))
        let isDescribed = flags & OrdinaryHeader.describedBehind != 0
        guard name == self.name + (isDirectory ? [UInt8(ascii: "/")] : []), method == self.method, flags & 1 == 0,
            isDescribed || (crc, stored, size) == (self.crc, self.stored, self.size)
        else { throw ZipError(.localHeader, member: shown) }
        return offset..<content + self.stored
    }
}
