import Merkle
import OpenSSL

/// Where a node of the key tree stands: `depth` 0 is the top, the nodes of the last depth hold the keys of slots.
struct NodePlace: Hashable, Comparable {
    let depth: UInt8
    let index: UInt64

    /// Children of a node.
    static let children: UInt64 = 64
    /// Depths of nodes; 64^6 slots are more than any ledger will need.
    static let depths: UInt8 = 6
    static let top = NodePlace(depth: 0, index: 0)
    /// Slots there can be.
    static let slots: UInt64 = 1 << 36

    /// The node that holds a slot's key.
    init(slot: UInt64) { self.init(depth: NodePlace.depths - 1, index: slot / NodePlace.children) }

    init(depth: UInt8, index: UInt64) {
        self.depth = depth
        self.index = index
    }

    /// The node that holds this one's key; nil for the top, whose key is the root key.
    var parent: NodePlace? { depth == 0 ? nil : NodePlace(depth: depth - 1, index: index / NodePlace.children) }

    /// Which of its parent's children it is.
    var position: Int { Int(index % NodePlace.children) }

    /// The key of its row. Nodes of the last depth come last, so that new ones go to the end.
    var key: [UInt8] { [depth] + withUnsafeBytes(of: index.bigEndian) { Array($0) } }

    static func < (left: NodePlace, right: NodePlace) -> Bool { (left.depth, left.index) < (right.depth, right.index) }
}

/// A node of the key tree: the keys of its children that live, each wrapped under the node's own key.
///
/// Row: children ever made (u64) ‖ children living (u64), bit p for position p ‖ the wrapped keys of those living, in order
/// ‖ seal, the first 16 bytes of SHA-256("evidenced/key-node/v1" LF row key ‖ all before it). At the suite `aes` it fits
/// one page.
struct KeyNode {
    private static let label = Array("evidenced/key-node/v1\n".utf8)
    private static let sealBytes = 16
    private static let headBytes = 16

    /// Children that were ever made. One that was made and lives no more was erased.
    private(set) var made: UInt64 = 0
    private(set) var living: UInt64 = 0
    private var wrapped: [UInt8] = []
    private let width: Int

    init(_ suite: CipherSuite) { width = suite.sealedKeyBytes }

    /// Reads a row; nil where it is not one, or a bit of it was changed.
    init?(_ row: UnsafeRawBufferPointer, at place: NodePlace, _ suite: CipherSuite) {
        let content = row.count - KeyNode.sealBytes
        guard content >= KeyNode.headBytes,
            KeyNode.seal(place, UnsafeRawBufferPointer(rebasing: row[..<content])).elementsEqual(row[content...])
        else { return nil }
        made = UInt64(bigEndian: row.loadUnaligned(as: UInt64.self))
        living = UInt64(bigEndian: row.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        width = suite.sealedKeyBytes
        wrapped = Array(row[KeyNode.headBytes..<content])
        guard living & ~made == 0, wrapped.count == width * living.nonzeroBitCount else { return nil }
    }

    func row(at place: NodePlace) -> [UInt8] {
        var row: [UInt8] = []
        row.reserveCapacity(KeyNode.headBytes + wrapped.count + KeyNode.sealBytes)
        withUnsafeBytes(of: made.bigEndian) { row.append(contentsOf: $0) }
        withUnsafeBytes(of: living.bigEndian) { row.append(contentsOf: $0) }
        row += wrapped
        row += row.withUnsafeBytes { KeyNode.seal(place, $0) }
        return row
    }

    private static func seal(_ place: NodePlace, _ content: UnsafeRawBufferPointer) -> [UInt8] {
        SHA256Hasher().hash(label + place.key + content).bytes.prefix(sealBytes).map { $0 }
    }

    func wasMade(_ position: Int) -> Bool { made >> UInt64(position) & 1 == 1 }
    func lives(_ position: Int) -> Bool { living >> UInt64(position) & 1 == 1 }

    /// The positions of the children that live.
    var livingPositions: [Int] { (0..<64).filter { lives($0) } }

    /// Calls `body` with the wrapped key of a child that lives.
    func withWrapped<Result>(_ position: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = width * rank(position)
        return try wrapped.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<start + width])) }
    }

    /// Gives a child its wrapped key, in place of one it has.
    mutating func set(_ position: Int, _ key: [UInt8]) {
        precondition(key.count == width)
        let start = width * rank(position)
        wrapped.replaceSubrange(start..<start + (lives(position) ? width : 0), with: key)
        made |= 1 << UInt64(position)
        living |= 1 << UInt64(position)
    }

    /// Takes a child's key away; that it was made stays known.
    mutating func erase(_ position: Int) {
        guard lives(position) else { return }
        let start = width * rank(position)
        wrapped.removeSubrange(start..<start + width)
        living &= ~(1 << UInt64(position))
    }

    /// How many living children come before a position.
    private func rank(_ position: Int) -> Int { (living & ((1 << UInt64(position)) &- 1)).nonzeroBitCount }
}
