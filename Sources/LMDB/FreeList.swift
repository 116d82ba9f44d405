/// The list of free pages of one snapshot, as it was when it was found in order: a copy of every page it lies on. So one
/// comparison of bytes tells whether it still is what it was, whatever of it LMDB is going to read.
struct FreeList {
    /// A record that is too long for a page of the tree.
    private struct LargeRecord {
        /// Those of its pages up to its end, the header before.
        let bytes: [UInt8]
        let transaction: UInt64
        let sum: UInt64
    }

    private let file: PageFile
    /// The tree's pages by their numbers, each with the sum of the records it names.
    private var pages: [UInt64: (page: TreePage, sum: UInt64)] = [:]
    /// By the number of the first page.
    private var large: [UInt64: LargeRecord] = [:]
    /// Of all records, the sum modulo 2^64 of their sums.
    private(set) var sum: UInt64 = 0

    /// Reads the list a snapshot has.
    ///
    /// - Parameter body: called with each record in the order of its transaction.
    /// - Throws: `PageDamage` where it is no list, `LMDBError` where the file can't be read, and what `body` throws.
    init(_ tree: TreeDescription, in file: PageFile, _ body: (FreePages.Record) throws -> Void) throws {
        self.file = file
        guard let root = try tree.root else { return }
        var last: UInt64 = 0
        try read(root.page, height: root.height) { record, page in
            guard record.transaction > last else {
                throw PageDamage(page: page, what: "its lists of free pages are out of order")
            }
            last = record.transaction
            try body(record)
        }
    }

    private mutating func read(
        _ number: UInt64,
        height: Int,
        _ body: (FreePages.Record, UInt64) throws -> Void
    ) throws {
        // So a damaged tree has an end too.
        guard pages[number] == nil else { throw PageDamage(page: number, what: "the list of free pages has no end") }
        let page = try file.treePage(number, height: height)
        try add(page) { try body($0, number) }
        guard !page.isLeaf else { return }
        for node in page.nodes { try read(node.child, height: height - 1, body) }
    }

    /// Compares the list with what the file has by now.
    ///
    /// - Throws: `PageDamage` where any bit of it is another, `LMDBError` where the file can't be read.
    func check() throws {
        for (number, known) in pages { try check(number, known.page.bytes) }
        for (number, record) in large { try check(number, record.bytes) }
    }

    private func check(_ number: UInt64, _ bytes: [UInt8]) throws {
        guard try file.holds(bytes, at: number) else {
            throw PageDamage(page: number, what: "the list of free pages is not as it was written")
        }
    }

    /// Follows a transaction that was committed. What it left where it was is not read again: LMDB writes a changed page to
    /// another place, so the copy of one that is still there is what it has to be.
    ///
    /// - Parameters:
    ///   - older: the tree this is the list of.
    ///   - newer: the tree the transaction made of it.
    mutating func advance(from older: TreeDescription, to newer: TreeDescription) throws {
        let changed = try difference(older, newer)
        for page in changed.older {
            if let known = pages.removeValue(forKey: page.number) { sum &-= known.sum }
        }
        for page in changed.newer { try add(page) { _ in } }
        let kept = Set(changed.newer.flatMap { $0.nodes.compactMap(\.overflow?.lowerBound) })
        for page in changed.older {
            for case let run? in page.nodes.map(\.overflow) where !kept.contains(run.lowerBound) {
                large[run.lowerBound] = nil
            }
        }
    }

    private func difference(
        _ older: TreeDescription,
        _ newer: TreeDescription
    ) throws -> (older: [TreePage], newer: [TreePage]) {
        var difference = TreeDifference(file) { pages[$0]?.page }
        return try difference.compare(older, newer)
    }

    /// Takes in a page of the tree, and of a leaf the records.
    ///
    /// - Parameter body: called with each record that was read, which a large one that is known is not.
    private mutating func add(_ page: TreePage, _ body: (FreePages.Record) throws -> Void) throws {
        var total: UInt64 = 0
        for node in page.nodes where page.isLeaf {
            if let known = node.overflow.flatMap({ large[$0.lowerBound] }) {
                guard try FreePages.Record.transaction(node, of: page) == known.transaction else {
                    throw PageDamage(page: page.number, what: "a list of free pages is of another transaction")
                }
                total &+= known.sum
                continue
            }
            let bytes = try node.overflow.map { try file.large($0, bytes: node.size) }
            let list = bytes?[TreePage.headerBytes...] ?? page.bytes[node.value]
            let record = try FreePages.Record(node, of: page, list: Array(list))
            let sum = record.sum
            if let run = node.overflow, let bytes {
                large[run.lowerBound] = LargeRecord(bytes: bytes, transaction: record.transaction, sum: sum)
            }
            total &+= sum
            try body(record)
        }
        pages[page.number] = (page, total)
        sum &+= total
    }
}
