import CLMDB

/// Keeps LMDB from writing over pages that are in use, which a single wrong bit in its list of free pages, or in a meta
/// page, would make it do.
///
/// Each transaction writes the sum of the snapshot it began with (`SnapshotSum`) into its own. So at a start the snapshot
/// before the newest, which LMDB always leaves whole, is known to be as it was written; and what may be free in the newest
/// follows from it and from the pages in which the two differ. While the process runs, each write transaction finds the
/// list byte for byte as the one before has left it (`FreeList`): any bit that turned since shows before LMDB reads it.
///
/// What it doesn't cover: bits that turn in the moment between this look and LMDB's own, or between its commit and the
/// look at what that wrote; and a damaged page of another tree that leads to a wrong page.
struct PageGuard {
    private let file: PageFile
    private var meta: MetaPage
    private var list: FreeList

    /// Checks the newest snapshot of a file that nobody else writes.
    ///
    /// - Parameter walk: has every page checked, for a file whose newest snapshot wasn't written here or is a copy.
    /// - Throws: `PageDamage`, or `LMDBError` where the file can't be read.
    init(_ file: PageFile, walk: () throws -> Void) throws {
        self.file = file
        let meta = try PageGuard.newest(file)
        guard meta.lastPage < (try file.count()) || meta.transaction == 0 else {
            throw PageDamage(page: meta.transaction % 2, what: "it claims pages beyond the end of the file")
        }
        try PageGuard.checkTrees(meta, file)
        var free: Set<UInt64> = []
        list = try FreeList(meta.free, in: file) { record in
            for page in record.pages {
                guard page >= 2, page <= meta.lastPage, free.insert(page).inserted else { throw FreePages.inUse(page) }
            }
        }
        self.meta = meta
        if let older = try PageGuard.olderSnapshot(file, meta) {
            try PageGuard.check(free, meta, after: older.meta, olderFree: older.free, file)
        } else {
            try walk()
        }
    }

    /// The row the next transaction has to write.
    var row: [UInt8] { SnapshotSum(meta, records: list.sum).bytes }

    /// Checks, before a write transaction begins, that what it would take pages from is what was left.
    ///
    /// - Throws: `PageDamage`, or `LMDBError` where another process has written.
    func check() throws {
        let newest = try PageGuard.newest(file)
        try require(newest.transaction, "the file is")
        guard newest.bytes == meta.bytes else {
            throw PageDamage(page: meta.transaction % 2, what: "it is not as it was written")
        }
        try list.check()
    }

    /// Checks, once a write transaction has begun, that it follows the snapshot at hand.
    ///
    /// - Parameter number: of the write transaction.
    /// - Throws: `LMDBError` where LMDB's lock file tells of another process's writing.
    func requireFollowing(_ number: UInt64) throws(LMDBError) { try require(number - 1, "the lock file tells") }

    private func require(_ transaction: UInt64, _ source: String) throws(LMDBError) {
        guard transaction != meta.transaction else { return }
        throw LMDBError(
            code: MDB_BAD_TXN,
            operation: "writing after transaction \(meta.transaction), where \(source) of \(transaction)"
        )
    }

    /// Takes the snapshot that this process has just committed for the one at hand.
    mutating func advance() throws {
        let newest = try PageGuard.newest(file)
        guard newest.transaction == meta.transaction + 1 else {
            throw PageDamage(page: newest.transaction % 2, what: "it is not of the transaction just committed")
        }
        try list.advance(from: meta.free, to: newest.free)
        meta = newest
    }

    /// The meta page LMDB goes on from.
    private static func newest(_ file: PageFile) throws -> MetaPage {
        let metas = (try file.meta(0), try file.meta(1))
        let newest = metas.0.transaction < metas.1.transaction ? metas.1 : metas.0
        // It is looked for again by the turn of its transaction.
        guard newest.transaction % 2 == (metas.0.transaction < metas.1.transaction ? 1 : 0) else {
            throw PageDamage(page: newest.transaction % 2, what: "no meta page is of the newest transaction")
        }
        return newest
    }

    /// Checks the descriptions of all trees, and of each the way to its greatest key, which most writes take.
    private static func checkTrees(_ meta: MetaPage, _ file: PageFile) throws {
        func check(_ tree: TreeDescription, holdsFreePages: Bool) throws {
            guard tree.isOfKind(holdsFreePages: holdsFreePages) else {
                throw PageDamage(page: tree.rootPage, what: "the tree it is the root of is of another kind")
            }
            guard var (number, height) = try tree.root else { return }
            while height > 1 {
                number = try file.treePage(number, height: height).nodes.last?.child ?? number
                height -= 1
            }
            _ = try file.treePage(number, height: height)
        }
        try check(meta.free, holdsFreePages: true)
        try check(meta.main, holdsFreePages: false)
        // Named databases are few: their tree is a leaf, unless somebody made many.
        guard let root = try meta.main.root, root.height == 1 else { return }
        let leaf = try file.treePage(root.page, height: 1)
        for node in leaf.nodes where node.isDatabase {
            try check(TreeDescription(leaf.bytes[node.value]), holdsFreePages: false)
        }
    }

    /// The snapshot before the newest and what was free in it, where they are what the newest says they have to be. Where
    /// they are not, nothing follows for the newest, and the file must be walked whole: LMDB leaves the roots of a
    /// transaction whose meta page it could not write in the meta page before the newest.
    private static func olderSnapshot(
        _ file: PageFile,
        _ newest: MetaPage
    ) throws -> (meta: MetaPage, free: Set<UInt64>)? {
        let older = try file.meta(1 - newest.transaction % 2)
        guard let stated = try row(newest.main, file), older.transaction == stated.transaction,
            stated.transaction &+ 1 == newest.transaction
        else { return nil }
        var free: Set<UInt64> = []
        do {
            let list = try FreeList(older.free, in: file) { free.formUnion($0.pages) }
            return SnapshotSum(older, records: list.sum) == stated ? (older, free) : nil
        } catch is PageDamage {
            return nil
        }
    }

    /// The row with the sum of the snapshot before; nil where there is none.
    private static func row(_ main: TreeDescription, _ file: PageFile) throws -> SnapshotSum? {
        guard let root = try main.root else { return nil }
        var (number, height) = root
        while true {
            let page = try file.treePage(number, height: height)
            let last = page.nodes.last { !SnapshotSum.key.lexicographicallyPrecedes(page.key($0)) }
            // The first node of a branch stands for all that is less than the second, whatever its key.
            guard let node = last ?? (page.isLeaf ? nil : page.nodes.first) else { return nil }
            guard page.isLeaf else {
                (number, height) = (node.child, height - 1)
                continue
            }
            guard page.key(node).elementsEqual(SnapshotSum.key) else { return nil }
            return try SnapshotSum(node, of: page, in: file)
        }
    }

    /// Checks that what the newest snapshot lists as free is what the transaction between two snapshots can have left
    /// free: what was free before or wasn't used yet, without the pages it took, and the pages it let go of.
    private static func check(
        _ free: Set<UInt64>,
        _ newest: MetaPage,
        after older: MetaPage,
        olderFree: Set<UInt64>,
        _ file: PageFile
    ) throws {
        guard newest.lastPage >= older.lastPage else {
            throw PageDamage(page: newest.transaction % 2, what: "it states fewer pages than the one before it")
        }
        var difference = TreeDifference(file)
        _ = try difference.compare(older.free, newest.free)
        try difference.compareDatabases(older.main, newest.main)
        let unused = (older.lastPage + 1)..<(newest.lastPage + 1)
        for page in difference.new where !olderFree.contains(page) && !unused.contains(page) {
            throw PageDamage(page: page, what: "it was written, but it was in use or is none of the file's")
        }
        for page in free {
            let wasLeft = olderFree.contains(page) || unused.contains(page) || difference.gone.contains(page)
            guard wasLeft, !difference.new.contains(page) else { throw FreePages.inUse(page) }
        }
    }
}
