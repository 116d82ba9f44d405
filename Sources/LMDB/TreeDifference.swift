/// The pages in which two snapshots differ. A page that both reach is the same in both, with all below it: LMDB writes
/// a changed page to another place, and never over one that the snapshot before still reaches. So the work is that of the
/// transaction between them, whatever the size of the trees.
struct TreeDifference {
    private let file: PageFile
    private let known: (UInt64) -> TreePage?
    /// Pages that only the older snapshot reaches.
    private(set) var gone: Set<UInt64> = []
    /// Pages that only the newer snapshot reaches.
    private(set) var new: Set<UInt64> = []

    /// - Parameter known: gives pages of the older snapshot that need not be read.
    init(_ file: PageFile, known: @escaping (UInt64) -> TreePage? = { _ in nil }) {
        self.file = file
        self.known = known
    }

    /// Compares a tree as the two snapshots have it, nil for a snapshot without it; gives the branches and leaves that
    /// differ.
    mutating func compare(
        _ older: TreeDescription?,
        _ newer: TreeDescription?
    ) throws -> (older: [TreePage], newer: [TreePage]) {
        let roots = (older: try older?.root, newer: try newer?.root)
        var height = max(roots.older?.height ?? 0, roots.newer?.height ?? 0)
        var (before, after): (Set<UInt64>, Set<UInt64>) = ([], [])
        var changed: (older: [TreePage], newer: [TreePage]) = ([], [])
        // Level by level: a page keeps its height for as long as it lives.
        while height > 0 {
            if let root = roots.older, root.height == height { before.insert(root.page) }
            if let root = roots.newer, root.height == height { after.insert(root.page) }
            let shared = before.intersection(after)
            let older = try before.subtracting(shared).sorted().map { number in
                try known(number) ?? file.treePage(number, height: height)
            }
            let newer = try after.subtracting(shared).sorted().map { try file.treePage($0, height: height) }
            gone.formUnion(older.map(\.number))
            new.formUnion(newer.map(\.number))
            changed.older += older
            changed.newer += newer
            before = Set(older.flatMap { $0.nodes.map(\.child) })
            after = Set(newer.flatMap { $0.nodes.map(\.child) })
            height -= 1
        }
        let runs = (older: overflows(changed.older), newer: overflows(changed.newer))
        for run in runs.older.subtracting(runs.newer) { gone.formUnion(run) }
        for run in runs.newer.subtracting(runs.older) { new.formUnion(run) }
        return changed
    }

    /// Compares the main trees and each named database in them.
    mutating func compareDatabases(_ older: TreeDescription, _ newer: TreeDescription) throws {
        let changed = try compare(older, newer)
        let (before, after) = (databases(changed.older), databases(changed.newer))
        for name in Set(before.keys).union(after.keys) where before[name] != after[name] {
            _ = try compare(before[name], after[name])
        }
    }

    private func overflows(_ pages: [TreePage]) -> Set<Range<UInt64>> {
        Set(pages.flatMap { $0.nodes.compactMap(\.overflow) })
    }

    private func databases(_ pages: [TreePage]) -> [ArraySlice<UInt8>: TreeDescription] {
        var found: [ArraySlice<UInt8>: TreeDescription] = [:]
        for page in pages {
            for node in page.nodes where node.isDatabase {
                found[page.key(node)] = TreeDescription(page.bytes[node.value])
            }
        }
        return found
    }
}
