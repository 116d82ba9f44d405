import CLMDB

/// LMDB's list of free pages: a tree of records, each of the pages that one transaction has freed. What it names is
/// written over next.
enum FreePages {
    /// What one row of the tree lists.
    struct Record {
        /// The transaction that freed the pages, or got them back unused.
        let transaction: UInt64
        /// In falling order.
        let pages: [UInt64]

        init(_ node: TreePage.Node, of page: TreePage, in file: PageFile) throws {
            try self.init(node, of: page, list: Array(file.value(node, of: page)))
        }

        /// - Parameter list: the node's value, wherever it lies.
        init(_ node: TreePage.Node, of page: TreePage, list: [UInt8]) throws {
            transaction = try Record.transaction(node, of: page)
            guard list.count >= 8, list.count % 8 == 0, list.word(at: 0) == UInt64(list.count / 8 - 1) else {
                throw PageDamage(page: page.number, what: "its list of free pages has the wrong length")
            }
            pages = (1..<list.count / 8).map { list.word(at: 8 * $0) }
            guard zip(pages, pages.dropFirst()).allSatisfy({ $0 > $1 }) else {
                throw PageDamage(page: page.number, what: "its list of free pages is out of order")
            }
        }

        /// What a node says of the transaction its record is of.
        static func transaction(_ node: TreePage.Node, of page: TreePage) throws -> UInt64 {
            let key = Array(page.key(node))
            guard key.count == 8, !node.isDatabase else {
                throw PageDamage(page: page.number, what: "a list of free pages is of no transaction")
            }
            return key.word(at: 0)
        }

        /// Tells the record from any that differs in some bits.
        var sum: UInt64 {
            var hash = FNV1a()
            hash.add(transaction)
            for page in pages { hash.add(page) }
            return hash.value
        }
    }

    static func inUse(_ page: UInt64) -> PageDamage {
        PageDamage(page: page, what: "it is listed as free, but it is in use or none of the file's")
    }
}

/// What sums up a snapshot, so that it is known again: its meta page, and the pages it lists as free. The next
/// transaction writes it into its own snapshot.
struct SnapshotSum: Equatable {
    /// The name of the row in the unnamed database.
    static let key = Array("free pages".utf8)
    private static let byteCount = 24
    let transaction: UInt64
    /// FNV-1a of the meta page's stated bytes, plus that of each record of free pages, modulo 2^64.
    let sum: UInt64

    /// - Parameter records: of all records of free pages, the sum modulo 2^64 of their sums.
    init(_ meta: MetaPage, records: UInt64) {
        var hash = FNV1a()
        for byte in meta.bytes { hash.add(byte) }
        transaction = meta.transaction
        sum = hash.value &+ records
    }

    /// Reads the row.
    ///
    /// - Throws: `PageDamage` where it is none, or another than was written.
    init(_ node: TreePage.Node, of page: TreePage, in file: PageFile) throws {
        let damage = PageDamage(page: page.number, what: "the sum of the snapshot before is damaged")
        guard !node.isDatabase, node.size == SnapshotSum.byteCount else { throw damage }
        let bytes = Array(try file.value(node, of: page))
        transaction = bytes.word(at: 0)
        sum = bytes.word(at: 8)
        guard self.bytes == bytes else { throw damage }
    }

    /// The row: transaction, sum, and the FNV-1a of these sixteen bytes, each a little-endian u64.
    var bytes: [UInt8] {
        var hash = FNV1a()
        hash.add(transaction)
        hash.add(sum)
        return [transaction, sum, hash.value].flatMap { number in
            withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) }
        }
    }
}
