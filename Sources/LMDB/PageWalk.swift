import CLMDB
import Glibc

/// Walks over every page a snapshot reaches and checks what LMDB takes for granted: a damaged page can make it read
/// outside of the map, a page in two places or in use and free can make it write over what is kept.
struct PageWalk {
    /// What a tree's description counts, in its order.
    private struct Counts: Equatable {
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var entries: UInt64 = 0
    }

    private let file: PageFile
    private let pages: UInt64
    /// One flag for each page: reached already.
    private var isReached: [Bool]
    private var reached = 0
    private var free: [UInt64] = []
    /// Of the tree at hand.
    private var counts = Counts()
    /// How many trees it is in, itself among them: named databases stand in the main tree and nowhere else.
    private var nesting = 0
    private let progress: (UInt64, UInt64) throws -> Void

    /// Checks the snapshot of a transaction.
    ///
    /// - Parameter progress: pages done and pages in all.
    /// - Returns: false where the meta page is not of the transaction: it was written over since it began.
    /// - Throws: `PageDamage` naming the first damaged page, `LMDBError` with the errno of a failed read, and what
    ///   `progress` throws.
    static func check(
        _ file: PageFile,
        transactionID: UInt64,
        progress: @escaping (UInt64, UInt64) throws -> Void
    ) throws -> Bool {
        // Of the two pages LMDB takes the one that has the turn of the transaction, whatever the other says.
        let meta = try file.meta(transactionID % 2)
        guard meta.transaction == transactionID else { return false }
        let (pages, isTooMuch) = meta.lastPage.addingReportingOverflow(1)
        guard !isTooMuch, pages <= (try file.count()) else {
            throw PageDamage(page: 0, what: "it claims pages beyond the end of the file")
        }
        var walk = PageWalk(file: file, pages: pages, progress: progress)
        walk.isReached[0] = true
        walk.isReached[1] = true
        try walk.tree(meta.free, holdsFreePages: true)
        try walk.tree(meta.main, holdsFreePages: false)
        for page in walk.free {
            guard page < pages, !walk.isReached[Int(page)] else { throw FreePages.inUse(page) }
            // Listed twice it would be used twice.
            walk.isReached[Int(page)] = true
        }
        return true
    }

    private init(file: PageFile, pages: UInt64, progress: @escaping (UInt64, UInt64) throws -> Void) {
        self.file = file
        self.pages = pages
        self.progress = progress
        isReached = [Bool](repeating: false, count: Int(pages))
    }

    private mutating func tree(_ description: TreeDescription, holdsFreePages: Bool) throws {
        let outer = counts
        nesting += 1
        defer {
            counts = outer
            nesting -= 1
        }
        counts = Counts()
        guard description.isOfKind(holdsFreePages: holdsFreePages) else {
            throw PageDamage(page: description.rootPage, what: "the tree it is the root of is of another kind")
        }
        if let root = try description.root {
            try page(root.page, height: root.height, holdsFreePages: holdsFreePages)
        }
        let stated = Counts(
            branches: description.branches,
            leaves: description.leaves,
            overflows: description.overflows,
            entries: description.entries
        )
        guard counts == stated else {
            throw PageDamage(
                page: description.rootPage,
                what: "the tree it is the root of has other numbers of pages or rows than stated"
            )
        }
    }

    private mutating func page(_ number: UInt64, height: Int, holdsFreePages: Bool) throws {
        try reach(number)
        let page = try file.treePage(number, height: height)
        guard page.isLeaf else {
            counts.branches += 1
            for node in page.nodes {
                try self.page(node.child, height: height - 1, holdsFreePages: holdsFreePages)
            }
            return
        }
        counts.leaves += 1
        counts.entries += UInt64(page.nodes.count)
        for node in page.nodes { try row(node, of: page, holdsFreePages: holdsFreePages) }
    }

    private mutating func row(_ node: TreePage.Node, of page: TreePage, holdsFreePages: Bool) throws {
        if node.isDatabase {
            guard nesting == 1, !holdsFreePages else {
                throw PageDamage(page: page.number, what: "a database stands in a tree that has none")
            }
            return try tree(TreeDescription(page.bytes[node.value]), holdsFreePages: false)
        }
        if nesting == 1, !holdsFreePages {
            guard page.key(node).elementsEqual(SnapshotSum.key) else {
                throw PageDamage(page: page.number, what: "a row stands among the databases")
            }
            // Whether the snapshot before still is what it says is no matter to the one at hand.
            _ = try SnapshotSum(node, of: page, in: file)
        }
        if let run = node.overflow {
            for page in run { try reach(page) }
            counts.overflows += UInt64(run.count)
            if !holdsFreePages { try file.checkLarge(run) }
        }
        if holdsFreePages { free += try FreePages.Record(node, of: page, in: file).pages }
    }

    private mutating func reach(_ number: UInt64) throws {
        guard number < pages else { throw PageDamage(page: number, what: "it is beyond the last page") }
        guard !isReached[Int(number)] else { throw PageDamage(page: number, what: "it is in use twice") }
        isReached[Int(number)] = true
        reached += 1
        if reached % 4_096 == 0 { try progress(UInt64(reached), pages) }
    }
}

extension Environment {
    /// Checks the structure of every page of the newest snapshot. Only what LMDB follows afterwards is known to be sound: so
    /// it comes before `databases`, and where the environment is in use already, whoever uses it has to take what it reads
    /// until then for unchecked.
    ///
    /// - Parameter progress: pages done and pages in all.
    /// - Throws: `PageDamage`, `LMDBError` where the file can't be read, and what `progress` throws.
    public func checkPages(progress: @escaping (UInt64, UInt64) throws -> Void) throws {
        let file = try pageFile()
        for _ in 0..<Environment.metaAttempts {
            // The snapshot keeps its pages from being used again while they are read.
            let isChecked = try read { transaction in
                try PageWalk.check(
                    file,
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
