/// The coordinates and paths of C2SP tlog-tiles.
public struct Tile: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Hashes of level 8·L of the tree; L is 0…63.
        case hashes(level: UInt8)
        /// Entry bundles.
        case entries
    }

    public let kind: Kind
    public let index: UInt64
    /// 1…256; below 256 the tile is partial.
    public let width: Int

    public static let fullWidth = 256

    public init(kind: Kind, index: UInt64, width: Int) {
        self.kind = kind
        self.index = index
        self.width = width
    }

    /// How wide the last, partial tile of a level is in a tree of `size`; 0 where there is none.
    public static func partialWidth(level: UInt8, size: UInt64) -> Int {
        level >= 8 ? 0 : Int(size >> (8 * UInt64(level)) & 255)
    }

    /// The path below the log's prefix, such as `tile/0/x001/x234/067` or `tile/entries/000.p/12`.
    public var path: String {
        let level =
            switch kind {
            case .hashes(let level): String(level)
            case .entries: "entries"
            }
        var groups: [String] = []
        var rest = index
        repeat {
            let group = String(rest % 1_000)
            groups.insert(String(repeating: "0", count: 3 - group.count) + group, at: 0)
            rest /= 1_000
        } while rest > 0
        let number = groups.dropLast().map { "x\($0)/" }.joined() + (groups.last ?? "")
        return "tile/\(level)/\(number)" + (width < Tile.fullWidth ? ".p/\(width)" : "")
    }

    /// Parses exactly what `path` writes.
    public init?(path: some StringProtocol) {
        var parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count >= 3, parts[0].utf8.elementsEqual("tile".utf8) else { return nil }
        if parts[1].utf8.elementsEqual("entries".utf8) {
            kind = .entries
        } else if let level = UInt8(parts[1]), level <= 63, String(level).utf8.elementsEqual(parts[1].utf8) {
            kind = .hashes(level: level)
        } else {
            return nil
        }
        parts.removeFirst(2)
        if parts.count >= 2, parts[parts.count - 2].utf8.suffix(2).elementsEqual(".p".utf8) {
            guard let partial = Int(parts[parts.count - 1]), 1...255 ~= partial,
                String(partial).utf8.elementsEqual(parts[parts.count - 1].utf8)
            else { return nil }
            width = partial
            parts.removeLast()
            parts[parts.count - 1] = String(decoding: parts[parts.count - 1].utf8.dropLast(2), as: UTF8.self)
        } else {
            width = Tile.fullWidth
        }
        guard parts.count <= 7 else { return nil }
        var number: UInt64 = 0
        for (position, part) in parts.enumerated() {
            let isLast = position == parts.count - 1
            guard isLast || part.utf8.first == UInt8(ascii: "x") else { return nil }
            let digits = isLast ? part : String(decoding: part.utf8.dropFirst(), as: UTF8.self)
            guard digits.utf8.count == 3, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let value = UInt64(digits)
            else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: 1_000)
            let (sum, carry) = product.addingReportingOverflow(value)
            guard !overflow, !carry else { return nil }
            number = sum
        }
        index = number
        // A number has one spelling: no leading groups of zeros.
        guard self.path == path else { return nil }
    }

    /// The subtrees whose hashes a hash tile holds, in order; empty for an entry bundle or an impossible level.
    public var nodes: [NodeID] {
        guard case .hashes(let level) = kind, level < 8 else { return [] }
        return (0..<UInt64(width)).map { NodeID(level: level * 8, index: index << 8 | $0) }
    }

    /// Whether a tree of `size` has this tile, at this width or, for a partial one that has since grown, at more.
    public func exists(inTreeOf size: UInt64) -> Bool {
        let level: UInt64
        switch kind {
        case .entries: level = 0
        case .hashes(let tile): level = UInt64(tile)
        }
        guard level < 8, index < 1 << 48 else { return false }
        return index << 8 + UInt64(width) <= size >> (8 * level)
    }
}
