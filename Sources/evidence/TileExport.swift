import LedgerFormat
import Merkle
import OpenSSL
import Varlink

/// Brings a published directory up to date: fetches the tiles that changed, checks every hash in them, and replaces the
/// checkpoint when all of it is on disk (`ledger-format.md` section 14).
struct TileExport {
    private let client: HTTPClient
    private let target: TileDirectory
    private let older: PublishedCheckpoint?
    private let newest: PublishedCheckpoint
    private var hasher = SHA256Hasher()
    /// Roots of the full tiles that were fetched, which the level above must state.
    private var roots: [NodeID: Digest] = [:]
    /// Hashes of the level-0 tile whose entries are fetched next.
    private var leaves: [Digest] = []
    private(set) var written = 0
    private(set) var removed = 0

    init(client: HTTPClient, target: TileDirectory, older: PublishedCheckpoint?, newest: PublishedCheckpoint) {
        self.client = client
        self.target = target
        self.older = older
        self.newest = newest
    }

    private var size: UInt64 { newest.checkpoint.size }
    private var olderSize: UInt64 { older?.checkpoint.size ?? 0 }

    mutating func run() throws {
        let isThere = older.map { $0.note.utf8.elementsEqual(newest.note.utf8) } ?? false
        if !isThere {
            try fetch()
            try target.sync()
            try prove()
            try target.replaceCheckpoint(newest.note)
            written += 1
        }
        removed = try target.removeLeftovers(before: olderSize)
    }

    // MARK: Fetching

    /// The tiles the new tree has and the old one has not, lower levels first, each bundle of entries after its hashes.
    private var changed: [Tile] {
        var tiles: [Tile] = []
        for level in 0..<UInt8(8) {
            let (count, olderCount) = (size >> (8 * UInt64(level)), olderSize >> (8 * UInt64(level)))
            guard count > olderCount else { continue }
            for index in (olderCount >> 8)...((count - 1) >> 8) {
                let width = Int(min(256, count - index << 8))
                tiles.append(Tile(kind: .hashes(level: level), index: index, width: width))
                if level == 0 { tiles.append(Tile(kind: .entries, index: index, width: width)) }
            }
        }
        return tiles
    }

    private mutating func fetch() throws {
        let tiles = changed
        var bar = ProgressBar("exporting")
        defer { bar.clear() }
        var sent = 0
        for (received, tile) in tiles.enumerated() {
            while sent < tiles.count, sent - received < 16 {
                try client.send(get: "/" + tiles[sent].path)
                sent += 1
            }
            bar.update(done: UInt64(received), total: UInt64(tiles.count))
            let (status, body) = try client.receive()
            switch status {
            case 200: break
            case 403: throw Failure(.permissionDenied, "you have no role that may read tiles")
            default: throw Failure(.refused, "the daemon answers \(status) for \(tile.path)")
            }
            try check(tile, body)
            if try target.write(body, to: tile.path) { written += 1 }
        }
    }

    private mutating func check(_ tile: Tile, _ body: [UInt8]) throws {
        let problem =
            switch tile.kind {
            case .hashes(let level): checkHashes(tile, level: level, body)
            case .entries: checkEntries(body)
            }
        if let problem { throw Failure(.refused, "\(tile.path), as the daemon gives it, \(problem)") }
    }

    /// Hashes of upper levels are the roots of the tiles below them.
    private mutating func checkHashes(_ tile: Tile, level: UInt8, _ body: [UInt8]) -> String? {
        guard body.count == 32 * tile.width else { return "has another length" }
        let hashes = stride(from: 0, to: body.count, by: 32).compactMap { Digest(body[$0..<$0 + 32]) }
        if level == 0 { leaves = hashes }
        for (node, hash) in zip(tile.nodes, hashes) {
            if let root = roots[node], root != hash { return "is not made of the tiles below it" }
        }
        if tile.width == Tile.fullWidth {
            var range = CompactRange()
            for hash in hashes { range.append(hash, hasher: &hasher) { _, _ in } }
            roots[NodeID(level: 8 * level + 8, index: tile.index)] = range.root(&hasher)
        }
        return nil
    }

    /// Entries have the leaf hashes of the tile fetched before.
    private mutating func checkEntries(_ body: [UInt8]) -> String? {
        var position = 0
        for leaf in leaves {
            guard position + 2 <= body.count else { return "has too few entries" }
            let length = Int(body[position]) << 8 | Int(body[position + 1])
            guard position + 2 + length <= body.count else { return "has too few entries" }
            guard hasher.leaf(Array(body[position + 2..<position + 2 + length])) == leaf else {
                return "has an entry that is not the one hashed"
            }
            position += 2 + length
        }
        return position == body.count ? nil : "has more than its entries"
    }

    // MARK: Proving

    /// Recomputes the root from the files, and that the old tree is the beginning of the new one.
    private mutating func prove() throws {
        var hasher = hasher
        let size = size
        let reader = TileReader(target: target, size: size)
        let root = try ProofBuilder.root(size: size, hasher: &hasher) { try reader.hash($0) }
        guard root == newest.checkpoint.root else {
            throw Failure(
                .refused,
                "the tree written has another root than the checkpoint states: nothing was published"
            )
        }
        guard let older, older.checkpoint.size > 0 else { return }
        let path = try ProofBuilder.consistency(first: older.checkpoint.size, second: size, hasher: &hasher) {
            try reader.hash($0)
        }
        do {
            try ProofVerifier.consistency(
                first: older.checkpoint.size,
                second: size,
                firstRoot: older.checkpoint.root,
                secondRoot: root,
                path: path,
                hasher: &hasher
            )
        } catch {
            throw Failure(
                .refused,
                "the ledger's tree does not begin with the one in the directory (\(error.rawValue)): nothing was published"
            )
        }
    }
}

/// Hashes of complete subtrees, read from the tiles of a directory.
private struct TileReader {
    let target: TileDirectory
    let size: UInt64

    /// The hash of a subtree: one of a tile's, or folded from the 2 to 128 of them it covers.
    func hash(_ node: NodeID) throws -> Digest {
        let (level, span) = (node.level / 8, UInt64(1) << UInt64(node.level % 8))
        let first = node.index * span
        let index = first >> 8
        let width = Int(min(256, size >> (8 * UInt64(level)) - index << 8))
        let path = Tile(kind: .hashes(level: level), index: index, width: width).path
        let bytes = try target.read(path)
        guard bytes.count == 32 * width else {
            throw Failure(.refused, "\(path) is damaged: export into an empty directory")
        }
        var hasher = SHA256Hasher()
        var range = CompactRange()
        for position in Int(first & 255)..<Int(first & 255 + span) {
            guard let hash = Digest(bytes[32 * position..<32 * position + 32]) else { continue }
            range.append(hash, hasher: &hasher) { _, _ in }
        }
        return range.root(&hasher)
    }
}
