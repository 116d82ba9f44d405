import CLMDB
import Glibc

/// An environment's data file as pages, read from the file itself: LMDB trusts its pages, so what it is about to follow
/// is looked at from outside first.
///
/// The layout is that of LMDB 0.9 on 64-bit little-endian machines: a page begins with its number (u64), padding, flags,
/// and the bounds of its free space (u16 each); offsets of its nodes follow.
struct PageFile {
    let descriptor: Int32
    let pageBytes = Environment.pageBytes

    /// Whole pages of the file.
    ///
    /// - Throws: `LMDBError` with the errno of the failed call.
    func count() throws -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw LMDBError(code: errno, operation: "sizing the file", isFailedRead: true)
        }
        return UInt64(status.st_size) / UInt64(pageBytes)
    }

    /// The bytes of a page, or those that begin with it.
    ///
    /// - Throws: `PageDamage` where the file ends before, `LMDBError` with the errno of a failed read.
    func read(_ number: UInt64, bytes count: Int? = nil) throws -> [UInt8] {
        let count = count ?? pageBytes
        let offset = try offset(number)
        return try [UInt8](unsafeUninitializedCapacity: count) { page, done in
            while done < count {
                let rest = UnsafeMutableRawBufferPointer(page)[done...]
                done += try read(UnsafeMutableRawBufferPointer(rebasing: rest), at: offset + done, number)
            }
        }
    }

    /// Whether the file has these bytes where a page begins.
    ///
    /// - Throws: `PageDamage` where the file ends before, `LMDBError` with the errno of a failed read.
    func holds(_ bytes: [UInt8], at number: UInt64) throws -> Bool {
        let offset = try offset(number)
        return try withUnsafeTemporaryAllocation(byteCount: min(bytes.count, 1 << 16), alignment: 8) { buffer in
            var done = 0
            while done < bytes.count {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(bytes.count - done))
                let count = try read(part, at: offset + done, number)
                let isSame = bytes.withUnsafeBytes { known in
                    guard let known = known.baseAddress, let read = part.baseAddress else { return false }
                    return memcmp(known + done, read, count) == 0
                }
                guard isSame else { return false }
                done += count
            }
            return true
        }
    }

    private func offset(_ number: UInt64) throws -> Int {
        guard let offset = Int(exactly: number).map({ $0.multipliedReportingOverflow(by: pageBytes) }), !offset.overflow
        else { throw PageDamage(page: number, what: "it is beyond the last page") }
        return offset.partialValue
    }

    /// Fills what it can of a buffer, at least one byte; gives how many.
    private func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int, _ number: UInt64) throws -> Int {
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw LMDBError(code: errno, operation: "reading page \(number)", isFailedRead: true)
            }
            guard count > 0 else { throw PageDamage(page: number, what: "the file ends before it") }
            return count
        }
    }

    /// One of the two meta pages, of which LMDB writes the one that has the turn of the transaction.
    func meta(_ slot: UInt64) throws -> MetaPage {
        MetaPage(try read(slot, bytes: MetaPage.stated.upperBound))
    }

    /// A page of a tree.
    ///
    /// - Parameter height: 1 for a leaf, one more for each branch above it.
    /// - Throws: `PageDamage` where it is not what belongs there.
    func treePage(_ number: UInt64, height: Int) throws -> TreePage {
        try TreePage(try read(number), number: number, height: height)
    }

    /// The value of a leaf's node, wherever it lies.
    func value(_ node: TreePage.Node, of page: TreePage) throws -> ArraySlice<UInt8> {
        guard let run = node.overflow else { return page.bytes[node.value] }
        return try large(run, bytes: node.size)[TreePage.headerBytes...]
    }

    /// A value that lies on pages of its own, the header of the first of them before it.
    ///
    /// - Parameter count: bytes of the value.
    func large(_ run: Range<UInt64>, bytes count: Int) throws -> [UInt8] {
        // Before as much is read as a damaged page may say.
        try checkLarge(run)
        return try read(run.lowerBound, bytes: TreePage.headerBytes + count)
    }

    /// Checks the first of the pages of a large value.
    func checkLarge(_ run: Range<UInt64>) throws {
        let head = try read(run.lowerBound, bytes: TreePage.headerBytes)
        guard head.word(at: 0) == run.lowerBound, head.half(at: 10) == PageFlags.overflow,
            head.word32(at: 12) == UInt32(run.count)
        else {
            throw PageDamage(page: run.lowerBound, what: "it is not the first page of a large value")
        }
    }
}

/// The kinds of page.
enum PageFlags {
    static let branch: UInt16 = 0x01
    static let leaf: UInt16 = 0x02
    static let overflow: UInt16 = 0x04
}

/// A meta page: where the two trees of a snapshot begin.
struct MetaPage {
    /// Descriptions of the trees, last page and transaction: what tells one snapshot from another.
    static let stated = 40..<152
    /// Those bytes.
    let bytes: ArraySlice<UInt8>
    /// The tree of free pages.
    let free: TreeDescription
    /// The tree of named databases.
    let main: TreeDescription
    /// The number of the last page that was ever used.
    let lastPage: UInt64
    let transaction: UInt64

    init(_ page: [UInt8]) {
        bytes = page[MetaPage.stated]
        free = TreeDescription(page[40..<88])
        main = TreeDescription(page[88..<136])
        lastPage = page.word(at: 136)
        transaction = page.word(at: 144)
    }
}

/// What LMDB keeps of a tree: padding (u32), flags, depth (u16 each), four counts, root (u64 each).
struct TreeDescription: Equatable {
    static let byteCount = 48
    private static let noPage = UInt64.max
    private static let maximumDepth = 32
    private let flags: UInt16
    private let statedDepth: Int
    private let statedRoot: UInt64
    let branches: UInt64
    let leaves: UInt64
    let overflows: UInt64
    let entries: UInt64

    init(_ description: ArraySlice<UInt8>) {
        let bytes = Array(description)
        flags = bytes.half(at: 4)
        statedDepth = Int(bytes.half(at: 6))
        branches = bytes.word(at: 8)
        leaves = bytes.word(at: 16)
        overflows = bytes.word(at: 24)
        entries = bytes.word(at: 32)
        statedRoot = bytes.word(at: 40)
    }

    /// The root page and how many levels stand on the leaves, theirs among them; nil for an empty tree.
    ///
    /// - Throws: `PageDamage` where no tree is that deep.
    var root: (page: UInt64, height: Int)? {
        get throws {
            guard statedRoot != TreeDescription.noPage else { return nil }
            guard 1...TreeDescription.maximumDepth ~= statedDepth else {
                throw PageDamage(page: statedRoot, what: "the tree it is the root of has an impossible depth")
            }
            return (statedRoot, statedDepth)
        }
    }

    /// Whether its keys are of the kind they have to be, of which LMDB makes much when it follows it.
    ///
    /// - Parameter holdsFreePages: then they are numbers, else plain bytes without duplicates.
    func isOfKind(holdsFreePages: Bool) -> Bool { flags == (holdsFreePages ? 0x08 : 0) }

    /// What damage to the whole tree is reported of.
    var rootPage: UInt64 { statedRoot }
}

/// A branch or leaf whose header and bounds are sound.
struct TreePage {
    static let headerBytes = 16
    private static let nodeBytes = 8

    /// One row of a leaf, or one child of a branch.
    struct Node {
        private enum Flags {
            /// The value lies on overflow pages.
            static let big: UInt16 = 0x01
            /// The value describes a named database.
            static let database: UInt16 = 0x02
        }

        /// Where the key lies in the page.
        let key: Range<Int>
        /// Where the value lies in the page; for one on overflow pages the number of the first.
        let value: Range<Int>
        /// Bytes of the value.
        let size: Int
        /// The page a branch's node leads to.
        let child: UInt64
        /// The pages a large value lies on.
        let overflow: Range<UInt64>?
        /// Whether the value describes a named database.
        let isDatabase: Bool

        fileprivate init(_ page: borrowing [UInt8], at offset: Int, isLeaf: Bool, number: UInt64) throws {
            func damaged(_ what: String) -> PageDamage { PageDamage(page: number, what: what) }
            let low = UInt64(page.half(at: offset)) | UInt64(page.half(at: offset + 2)) << 16
            let flags = page.half(at: offset + 4)
            let begin = offset + TreePage.nodeBytes
            let end = begin + Int(page.half(at: offset + 6))
            guard end <= page.count else { throw damaged("a key reaches beyond it") }
            key = begin..<end
            size = Int(low)
            child = low | UInt64(flags) << 32
            guard isLeaf else {
                (value, overflow, isDatabase) = (end..<end, nil, false)
                return
            }
            let isBig = flags & Flags.big != 0
            let stored = isBig ? 8 : size
            guard flags & ~(Flags.big | Flags.database) == 0, stored <= page.count - end else {
                throw damaged("a value reaches beyond it")
            }
            value = end..<end + stored
            isDatabase = flags & Flags.database != 0
            guard !isDatabase || !isBig && size == TreeDescription.byteCount else {
                throw damaged("a database is described by too few or too many bytes")
            }
            guard isBig else {
                overflow = nil
                return
            }
            let first = page.word(at: end)
            let (last, isTooMuch) = first.addingReportingOverflow(
                UInt64((TreePage.headerBytes + size + page.count - 1) / page.count)
            )
            guard !isTooMuch else { throw PageDamage(page: first, what: "it is beyond the last page") }
            overflow = first..<last
        }
    }

    let number: UInt64
    let bytes: [UInt8]
    let isLeaf: Bool
    let nodes: [Node]

    init(_ bytes: [UInt8], number: UInt64, height: Int) throws {
        func damaged(_ what: String) -> PageDamage { PageDamage(page: number, what: what) }
        let isLeaf = height == 1
        guard bytes.word(at: 0) == number else { throw damaged("it says it is another page") }
        guard bytes.half(at: 10) == (isLeaf ? PageFlags.leaf : PageFlags.branch) else {
            throw damaged("it is not the kind of page that belongs there")
        }
        let (lower, upper) = (Int(bytes.half(at: 12)), Int(bytes.half(at: 14)))
        guard lower >= TreePage.headerBytes, lower <= upper, upper <= bytes.count, lower % 2 == 0 else {
            throw damaged("its free space has impossible bounds")
        }
        let count = (lower - TreePage.headerBytes) / 2
        guard count >= (isLeaf ? 1 : 2) else { throw damaged("it holds too few nodes") }
        nodes = try (0..<count).map { position in
            let offset = Int(bytes.half(at: TreePage.headerBytes + 2 * position))
            guard offset >= upper, offset + TreePage.nodeBytes <= bytes.count else {
                throw damaged("a node lies outside of it")
            }
            return try Node(bytes, at: offset, isLeaf: isLeaf, number: number)
        }
        self.number = number
        self.bytes = bytes
        self.isLeaf = isLeaf
    }

    /// The bytes of a node's key.
    func key(_ node: Node) -> ArraySlice<UInt8> { bytes[node.key] }
}

/// A page whose structure LMDB could not survive, or that it would write over though it is in use.
public struct PageDamage: Error, Equatable, Sendable, CustomStringConvertible {
    public let page: UInt64
    public let what: String

    public var description: String { "page \(page): \(what)" }
}

/// Numbers as they stand in the file, little-endian.
extension [UInt8] {
    func half(at offset: Int) -> UInt16 { load(offset) }
    func word32(at offset: Int) -> UInt32 { load(offset) }
    func word(at offset: Int) -> UInt64 { load(offset) }

    private func load<Value: FixedWidthInteger>(_ offset: Int) -> Value {
        withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }
}
