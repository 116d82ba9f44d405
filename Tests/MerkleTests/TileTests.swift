import Merkle
import Testing

@Suite("Tiles")
struct TileTests {
    private static let paths: [(Tile.Kind, UInt64, Int, String)] = [
        (.hashes(level: 0), 0, 256, "tile/0/000"), (.hashes(level: 0), 0, 1, "tile/0/000.p/1"),
        (.hashes(level: 0), 255, 256, "tile/0/255"), (.hashes(level: 1), 7, 255, "tile/1/007.p/255"),
        (.hashes(level: 0), 999, 256, "tile/0/999"), (.hashes(level: 0), 1_000, 256, "tile/0/x001/000"),
        (.hashes(level: 3), 1_234_067, 256, "tile/3/x001/x234/067"),
        (.hashes(level: 7), 1_234_067, 12, "tile/7/x001/x234/067.p/12"),
        (.hashes(level: 63), 999_999, 256, "tile/63/x999/999"), (.entries, 0, 100, "tile/entries/000.p/100"),
        (.entries, 1_234_067, 256, "tile/entries/x001/x234/067"),
        (.entries, 1_000_000, 256, "tile/entries/x001/x000/000"),
        (.hashes(level: 0), .max, 256, "tile/0/x018/x446/x744/x073/x709/x551/615"),
        (.hashes(level: 0), .max, 9, "tile/0/x018/x446/x744/x073/x709/x551/615.p/9"),
    ]

    @Test("Have the paths of C2SP tlog-tiles")
    func knownPaths() throws {
        for (kind, index, width, path) in TileTests.paths {
            let tile = Tile(kind: kind, index: index, width: width)
            #expect(tile.path == path)
            #expect(Tile(path: path) == tile)
            // A part of a longer text is read alike.
            #expect(Tile(path: "/prefix/\(path)".dropFirst(8)) == tile)
        }
    }

    @Test(
        "Have one path each: any other spelling is refused",
        arguments: [
            "", "/", "tile", "tile/", "tile/0", "tile/0/", "tile//000", "/tile/0/000", "tile/0/000/", "tile/0//000",
            "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000", "tile/0/x000/000", "tile/0/x000/x001/000",
            "tile/0/001/000", "tile/0/x001", "tile/0/x001/", "tile/0/x001/x234", "tile/0/x1/000", "tile/0/X001/000",
            "tile/0/xx01/000", "tile/0/x0001/000", "tile/0/+12", "tile/0/-01", "tile/0/ 12", "tile/0/12 ", "tile/0/0x1",
            "tile/0/1e2", "tile/0/٠٠١", "tile/0/００１", "tile/0/00\u{661}", "tile/0/000\n", "tile/0/000\0",
            "tile/00/000", "tile/+0/000", "tile/-1/000", "tile/64/000", "tile/256/000", "tile/x/000", "tile/ 0/000",
            "tile/0 /000", "Tile/0/000", "tiles/0/000", "tile/data/000", "tile/Entries/000", "tile/entries",
            "tile/entries/",
            "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/+1",
            "tile/0/000.p/-1", "tile/0/000.p/1.", "tile/0/000.p/1/", "tile/0/000.p/1/2", "tile/0/000.p/1.p/1",
            "tile/0/000.p/999999999999999999999", "tile/0/000.P/1", "tile/0/000p/1", "tile/0/.p/1", "tile/0/000.p.p/1",
            "tile/0/x001.p/000", "tile/0/x001.p/1", "tile/0/x001.p/000.p/1", "tile.p/1", "tile/0.p/1", "tile/.p/1",
            "tile/\u{301}0/000", "tile/0/\u{338}000", "tile/0/000\u{FE0F}", "tile/0/000.p\u{301}/1",
            "tile/0/000.\u{301}p/1",
            "tile\u{301}/0/000", "tile/0/x\u{301}001/000", "tile/0/000.p/\u{200D}1", "tile/entries\u{301}/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/0/x001/x000/x000/x000/x000/x000/x000/000", "tile\\0\\000", "tile/0/000%20", "tile/0/../000",
        ]
    )
    func misspelt(path: String) {
        #expect(Tile(path: path) == nil)
    }

    @Test("Are read from the path they are written to, and from no path close to it")
    func randomPaths() {
        var random = HashedNumbers()
        let characters = Array("0123456789xp./e")
        for _ in 0..<1_500 {
            let level = UInt8.random(in: 0...63, using: &random)
            let tile = Tile(
                kind: Bool.random(using: &random) ? .entries : .hashes(level: level),
                index: random.number(bits: 0...64),
                width: Bool.random(using: &random) ? 256 : Int.random(in: 1...255, using: &random)
            )
            let path = tile.path
            #expect(Tile(path: path) == tile, "\(path)")
            for _ in 0..<8 {
                var changed = Array(path)
                let position = Int.random(in: changed.indices, using: &random)
                let character = characters.randomElement(using: &random) ?? "/"
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed[position] = character
                case 1: changed.insert(character, at: position)
                default: changed.remove(at: position)
                }
                guard let read = Tile(path: String(changed)) else { continue }
                #expect(Array(read.path.utf8) == Array(String(changed).utf8))
            }
        }
    }

    @Test("Are partial at the right edge of the tree only")
    func partialWidths() {
        // The example of tlog-tiles: 273 full tiles and 112 hashes, 1 full tile and 17 hashes, 1 hash.
        #expect((0...3).map { Tile.partialWidth(level: $0, size: 70_000) } == [112, 17, 1, 0])
        #expect(70_000 >> 8 == 273 && 70_000 >> 16 == 1)
        for level: UInt8 in 0...70 { #expect(Tile.partialWidth(level: level, size: 0) == 0) }
        #expect(Tile.partialWidth(level: 0, size: 255) == 255 && Tile.partialWidth(level: 0, size: 256) == 0)
        #expect((0...9).map { Tile.partialWidth(level: $0, size: .max) } == [Int](repeating: 255, count: 8) + [0, 0])
    }

    @Test("Exist where the tree has all their hashes")
    func existence() {
        func exists(_ path: String, _ size: UInt64) -> Bool? { Tile(path: path)?.exists(inTreeOf: size) }
        for (path, size) in [
            ("tile/0/000", 256), ("tile/0/000.p/1", 1), ("tile/0/000.p/255", 255), ("tile/entries/000", 256),
            ("tile/entries/000.p/7", 7), ("tile/0/272", 70_000), ("tile/0/273.p/112", 70_000), ("tile/1/000", 70_000),
            ("tile/1/001.p/17", 70_000), ("tile/2/000.p/1", 70_000), ("tile/entries/273.p/112", 70_000),
            ("tile/1/000", 1 << 16), ("tile/2/000", 1 << 24),
        ] as [(String, UInt64)] {
            #expect(exists(path, size) == true, "\(path) in \(size)")
            #expect(exists(path, size + 1_000_000) == true, "\(path) in a tree that grew")
            #expect(exists(path, .max) == true)
            #expect(exists(path, 0) == false)
        }
        for (path, size) in [
            ("tile/0/000", 255), ("tile/0/000.p/2", 1), ("tile/entries/000.p/8", 7), ("tile/0/273", 70_000),
            ("tile/0/273.p/113", 70_000), ("tile/0/274.p/1", 70_000), ("tile/1/001.p/18", 70_000),
            ("tile/1/001", 70_000),
            ("tile/2/000.p/2", 70_000), ("tile/3/000.p/1", 70_000), ("tile/1/000", 1 << 16 - 1),
            ("tile/8/000.p/1", .max), ("tile/63/000.p/1", .max), ("tile/7/001.p/1", .max),
            ("tile/0/x018/x446/x744/x073/x709/x551/615", .max), ("tile/entries/x281/x474/x976/x710/656", .max),
        ] as [(String, UInt64)] {
            #expect(exists(path, size) == false, "\(path) in \(size)")
        }
    }

    @Test("Hold the subtrees of every eighth level")
    func nodes() {
        let tile = Tile(kind: .hashes(level: 1), index: 3, width: 2)
        #expect(tile.nodes == [NodeID(level: 8, index: 768), NodeID(level: 8, index: 769)])
        let full = Tile(kind: .hashes(level: 0), index: 1, width: Tile.fullWidth)
        #expect(full.nodes == (256..<512).map { NodeID(level: 0, index: $0) })
        #expect(Tile(kind: .hashes(level: 7), index: 0, width: 1).nodes == [NodeID(level: 56, index: 0)])
        #expect(Tile(kind: .entries, index: 0, width: 256).nodes.isEmpty)
        #expect(Tile(kind: .hashes(level: 8), index: 0, width: 1).nodes.isEmpty)
        #expect(Tile(kind: .hashes(level: 63), index: .max, width: 256).nodes.isEmpty)
    }

    @Test("Of a tree hold together each of its complete subtrees of those levels once")
    func tiling() {
        for size: UInt64 in [1, 255, 256, 257, 511, 70_000] {
            for level: UInt8 in 0...3 {
                let full = size >> (8 * UInt64(level) + 8)
                var tiles = (0..<full).map { Tile(kind: .hashes(level: level), index: $0, width: Tile.fullWidth) }
                let partial = Tile.partialWidth(level: level, size: size)
                if partial > 0 { tiles.append(Tile(kind: .hashes(level: level), index: full, width: partial)) }
                #expect(tiles.allSatisfy { $0.exists(inTreeOf: size) })
                let nodes = tiles.flatMap(\.nodes)
                let count = size >> (8 * UInt64(level))
                #expect(nodes == (0..<count).map { NodeID(level: level * 8, index: $0) })
                #expect(nodes.allSatisfy { $0.completedBy < size })
            }
        }
    }
}
