import CLMDB
import Glibc

/// Walks over every page a snapshot reaches, reading the file itself, and checks what LMDB takes for granted: it trusts
/// its pages, and a damaged one can make it read outside of the map.
///
/// The layout is that of LMDB 0.9 on 64-bit little-endian machines: a page begins with its number (u64), padding, flags,
/// and the bounds of its free space (u16 each); offsets of its nodes follow.
struct PageWalk {
    private enum Flags {
        static let branch: UInt16 = 0x01
        static let leaf: UInt16 = 0x02
        static let overflow: UInt16 = 0x04
    }

    private enum NodeFlags {
        /// The value lies on overflow pages.
        static let big: UInt16 = 0x01
        /// The value describes a named database.
        static let database: UInt16 = 0x02
    }

    /// What a tree's description counts, in its order.
    private struct Counts: Equatable {
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var entries: UInt64 = 0
    }

    private static let headerBytes = 16
    private static let nodeBytes = 8
    private static let databaseBytes = 48
    private static let maximumDepth = 32
    private static let noPage = UInt64.max
    private let descriptor: Int32
    private let pageBytes: Int
    private let pages: UInt64
    /// One flag for each page: reached already.
    private var isReached: [Bool]
    private var reached = 0
    private var free: [UInt64] = []
    /// Of the tree at hand.
    private var counts = Counts()
    /// How many trees it is in, itself among them: named databases stand in the main tree and nowhere else.
    private var nesting = 0
    private let progress: (UInt64, UInt64) -> Void

    /// Checks the snapshot of a transaction.
    ///
    /// - Parameter progress: pages done and pages in all.
    /// - Returns: false where the meta page is not of the transaction: it was written over since it began.
    /// - Throws: `PageDamage` naming the first damaged page, or `LMDBError` with the errno of a failed read.
    static func check(
        descriptor: Int32,
        transactionID: UInt64,
        progress: @escaping (UInt64, UInt64) -> Void
    ) throws -> Bool {
        let pageBytes = Environment.pageBytes
        // Of the two pages LMDB takes the one that has the turn of the transaction, whatever the other says.
        let meta = try read(descriptor, Int(transactionID % 2), pageBytes)
        guard meta.word(at: 144) == transactionID else { return false }
        let (pages, isTooMuch) = meta.word(at: 136).addingReportingOverflow(1)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno, operation: "sizing the file") }
        guard !isTooMuch, pages <= UInt64(status.st_size) / UInt64(pageBytes) else {
            throw PageDamage(page: 0, what: "it claims pages beyond the end of the file")
        }
        var walk = PageWalk(descriptor: descriptor, pageBytes: pageBytes, pages: pages, progress: progress)
        walk.isReached[0] = true
        walk.isReached[1] = true
        try walk.tree(meta[40..<88], holdsFreePages: true)
        try walk.tree(meta[88..<136], holdsFreePages: false)
        for page in walk.free where page < 2 || page >= pages || walk.isReached[Int(page)] {
            throw PageDamage(page: page, what: "it is listed as free, but it is in use or none of the file's")
        }
        return true
    }

    private init(
        descriptor: Int32,
        pageBytes: Int,
        pages: UInt64,
        progress: @escaping (UInt64, UInt64) -> Void
    ) {
        self.descriptor = descriptor
        self.pageBytes = pageBytes
        self.pages = pages
        self.progress = progress
        isReached = [Bool](repeating: false, count: Int(pages))
    }

    /// Walks a tree by its description: padding (u32), flags, depth (u16 each), four counts, root (u64 each).
    private mutating func tree(_ description: ArraySlice<UInt8>, holdsFreePages: Bool) throws {
        let description = Array(description)
        let root = description.word(at: 40)
        let stated = Counts(
            branches: description.word(at: 8),
            leaves: description.word(at: 16),
            overflows: description.word(at: 24),
            entries: description.word(at: 32)
        )
        let outer = counts
        nesting += 1
        defer {
            counts = outer
            nesting -= 1
        }
        counts = Counts()
        if root != PageWalk.noPage {
            let depth = Int(description.half(at: 6))
            guard 1...PageWalk.maximumDepth ~= depth else {
                throw PageDamage(page: root, what: "the tree it is the root of has an impossible depth")
            }
            try page(root, depth: depth, holdsFreePages: holdsFreePages)
        }
        guard counts == stated else {
            throw PageDamage(
                page: root,
                what: "the tree it is the root of has other numbers of pages or rows than stated"
            )
        }
    }

    private mutating func page(_ number: UInt64, depth: Int, holdsFreePages: Bool) throws {
        try reach(number)
        let page = try PageWalk.read(descriptor, Int(number), pageBytes)
        func damaged(_ what: String) -> PageDamage { PageDamage(page: number, what: what) }
        let isLeaf = depth == 1
        guard page.word(at: 0) == number else { throw damaged("it says it is another page") }
        guard page.half(at: 10) == (isLeaf ? Flags.leaf : Flags.branch) else {
            throw damaged("it is not the kind of page that belongs there")
        }
        let (lower, upper) = (Int(page.half(at: 12)), Int(page.half(at: 14)))
        guard lower >= PageWalk.headerBytes, lower <= upper, upper <= pageBytes, lower % 2 == 0 else {
            throw damaged("its free space has impossible bounds")
        }
        let count = (lower - PageWalk.headerBytes) / 2
        guard count >= (isLeaf ? 1 : 2) else { throw damaged("it holds too few nodes") }
        if isLeaf {
            counts.leaves += 1
            counts.entries += UInt64(count)
        } else {
            counts.branches += 1
        }
        for position in 0..<count {
            let node = Int(page.half(at: PageWalk.headerBytes + 2 * position))
            guard node >= upper, node + PageWalk.nodeBytes <= pageBytes else {
                throw damaged("a node lies outside of it")
            }
            let size = UInt64(page.half(at: node)) | UInt64(page.half(at: node + 2)) << 16
            let flags = page.half(at: node + 4)
            let value = node + PageWalk.nodeBytes + Int(page.half(at: node + 6))
            guard value <= pageBytes else { throw damaged("a key reaches beyond it") }
            if isLeaf {
                try leaf(page, value: value, size: Int(size), flags: flags, number, holdsFreePages: holdsFreePages)
            } else {
                try self.page(size | UInt64(flags) << 32, depth: depth - 1, holdsFreePages: holdsFreePages)
            }
        }
    }

    private mutating func leaf(
        _ page: [UInt8],
        value: Int,
        size: Int,
        flags: UInt16,
        _ number: UInt64,
        holdsFreePages: Bool
    ) throws {
        let stored = flags & NodeFlags.big != 0 ? 8 : size
        guard flags & ~(NodeFlags.big | NodeFlags.database) == 0, value + stored <= pageBytes else {
            throw PageDamage(page: number, what: "a value reaches beyond it")
        }
        if flags & NodeFlags.database != 0 {
            guard size == PageWalk.databaseBytes else {
                throw PageDamage(page: number, what: "a database is described by too few or too many bytes")
            }
            guard nesting == 1, !holdsFreePages else {
                throw PageDamage(page: number, what: "a database stands in a tree that has none")
            }
            return try tree(page[value..<value + size], holdsFreePages: false)
        }
        var content = page[value..<value + stored]
        if flags & NodeFlags.big != 0 {
            content = try overflow(page.word(at: value), bytes: size, read: holdsFreePages)
        }
        if holdsFreePages { try noteFree(Array(content), number) }
    }

    /// Reaches the pages of a large value, and reads it where asked to.
    private mutating func overflow(_ number: UInt64, bytes: Int, read: Bool) throws -> ArraySlice<UInt8> {
        let count = (PageWalk.headerBytes + bytes + pageBytes - 1) / pageBytes
        for page in 0..<UInt64(count) { try reach(number &+ page) }
        counts.overflows += UInt64(count)
        let head = try PageWalk.read(descriptor, Int(number), pageBytes)
        guard head.word(at: 0) == number, head.half(at: 10) == Flags.overflow, head.word32(at: 12) == UInt32(count)
        else {
            throw PageDamage(page: number, what: "it is not the first page of a large value")
        }
        guard read else { return [] }
        var value = head[PageWalk.headerBytes...]
        for page in 1..<max(count, 1) { value += try PageWalk.read(descriptor, Int(number) + page, pageBytes) }
        return value.prefix(bytes)
    }

    /// A list of free pages: their number, then the pages in falling order.
    private mutating func noteFree(_ list: [UInt8], _ number: UInt64) throws {
        guard list.count >= 8, list.count % 8 == 0, list.word(at: 0) == UInt64(list.count / 8 - 1) else {
            throw PageDamage(page: number, what: "its list of free pages has the wrong length")
        }
        let pages = (1..<list.count / 8).map { list.word(at: 8 * $0) }
        guard zip(pages, pages.dropFirst()).allSatisfy({ $0 > $1 }) else {
            throw PageDamage(page: number, what: "its list of free pages is out of order")
        }
        free += pages
    }

    private mutating func reach(_ number: UInt64) throws {
        guard number < pages else { throw PageDamage(page: number, what: "it is beyond the last page") }
        guard !isReached[Int(number)] else { throw PageDamage(page: number, what: "it is in use twice") }
        isReached[Int(number)] = true
        reached += 1
        if reached % 4_096 == 0 { progress(UInt64(reached), pages) }
    }

    private static func read(_ descriptor: Int32, _ number: Int, _ pageBytes: Int) throws -> [UInt8] {
        var page = [UInt8](repeating: 0, count: pageBytes)
        var done = 0
        while done < pageBytes {
            let count = page.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + done }, pageBytes - done, off_t(number * pageBytes + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw LMDBError(code: errno, operation: "reading page \(number)") }
            guard count > 0 else { throw PageDamage(page: UInt64(number), what: "the file ends before it") }
            done += count
        }
        return page
    }
}

/// A page whose structure LMDB could not survive.
public struct PageDamage: Error, Equatable, Sendable, CustomStringConvertible {
    public let page: UInt64
    public let what: String

    public var description: String { "page \(page): \(what)" }
}

extension Environment {
    /// Checks the structure of every page of the newest snapshot before LMDB follows it. Must come before `databases`.
    ///
    /// - Parameter progress: pages done and pages in all.
    /// - Throws: `PageDamage`, or `LMDBError` where the file can't be read.
    public func checkPages(progress: @escaping (UInt64, UInt64) -> Void) throws {
        var descriptor: mdb_filehandle_t = -1
        try check(mdb_env_get_fd(handle, &descriptor), "finding the data file")
        for _ in 0..<Environment.metaAttempts {
            // The snapshot keeps its pages from being used again while they are read.
            let isChecked = try read { transaction in
                try PageWalk.check(
                    descriptor: descriptor,
                    transactionID: UInt64(UInt(bitPattern: mdb_txn_id(transaction.handle.pointer))),
                    progress: progress
                )
            }
            if isChecked { return }
        }
        throw PageDamage(page: 0, what: "no meta page is of the newest transaction")
    }

    /// How often a busy writer may write over the meta page before it is read.
    private static let metaAttempts = 32
}
