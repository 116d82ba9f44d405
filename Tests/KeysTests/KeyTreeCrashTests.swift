import Foundation
import OpenSSL
import Testing

@testable import Keys

/// What a crash, a restored backup or a damaged disk leaves of the two files, put together by hand.
@Suite("The key tree after a crash")
struct KeyTreeCrashTests {
    private static let erased: [UInt64] = [3, 70]
    private let fixture: TreeFixture
    private let keys: [CipherKey]
    private let before: (keys: Data, root: Data)
    private let after: (keys: Data, root: Data)

    init() throws {
        fixture = try TreeFixture()
        var keys: [CipherKey] = []
        do { keys = try fixture.open().makeSlots(nodes: 2).keys }
        before = try fixture.files()
        do { try fixture.open().erase(KeyTreeCrashTests.erased) }
        after = try fixture.files()
        self.keys = keys
    }

    /// `root.key` with the slots of before and after, as it is between the two syncs.
    private var both: Data { Data(before.root.prefix(4_096) + after.root.suffix(4_096)) }

    private func expect(_ tree: KeyTree, isErased: Bool) throws {
        for (slot, key) in keys.enumerated() {
            let found = try tree.key(of: UInt64(slot))
            if isErased, KeyTreeCrashTests.erased.contains(UInt64(slot)) {
                #expect(found.isErased)
            } else {
                #expect(found.living == key)
            }
        }
    }

    @Test("at rest, one slot of root.key is zeros")
    func rest() throws {
        #expect(before.root.count == 4_096 || before.root.suffix(4_096).allSatisfy { $0 == 0 })
        #expect(after.root.prefix(4_096).allSatisfy { $0 == 0 } && after.root.count == 8_192)
    }

    @Test("before the commit: all keys live, and the new root key is gone")
    func uncommitted() throws {
        try fixture.put(keys: before.keys, root: both)
        do { try expect(fixture.open(), isErased: false) }
        #expect(try fixture.files().root.suffix(4_096).allSatisfy { $0 == 0 })
        let tree = try fixture.open()
        try tree.erase(KeyTreeCrashTests.erased)
        try expect(tree, isErased: true)
    }

    @Test("after the commit: the erased are gone, and the old root key too", arguments: [false, true])
    func committed(isHalfOverwritten: Bool) throws {
        var root = both
        if isHalfOverwritten { root.replaceSubrange(0..<100, with: Data(count: 100)) }
        try fixture.put(keys: after.keys, root: root)
        do { try expect(fixture.open(), isErased: true) }
        #expect(try fixture.files().root == after.root)
    }

    @Test("the new slot half written: the old one is in force")
    func torn() throws {
        var root = both
        root.replaceSubrange(4_096 + 60..<8_192, with: Data(count: 4_096 - 60))
        try fixture.put(keys: before.keys, root: root)
        try expect(fixture.open(), isErased: false)
        #expect(try fixture.files().root.suffix(4_096).allSatisfy { $0 == 0 })
    }

    @Test("files of different times are refused, and named")
    func mixed() throws {
        try fixture.put(keys: before.keys, root: after.root)
        #expect { try fixture.open() } throws: {
            ($0 as? KeyRefusal)?.code == .torn && "\($0)".contains("directory of keys was")
        }
        try fixture.put(keys: after.keys, root: before.root)
        #expect { try fixture.open() } throws: {
            ($0 as? KeyRefusal)?.code == .torn && "\($0)".contains("root.key was")
        }
        #expect(try fixture.files().root == before.root)
    }

    /// The point of it all: with every byte of before but `root.key`, and all there is now, nothing opens the erased.
    @Test("the old rows open under nothing that is left")
    func noise() throws {
        let now = try #require(RootRecord(slot: Array(after.root.suffix(4_096))))
        let wrapper = try SuiteCipher(.aes)
        let root = try now.unwrap(fixture.master, wrapper)
        try fixture.put(keys: before.keys)
        let old = try #require(RootRecord(slot: Array(before.root.prefix(4_096))))
        let top = try rows(.top)
        let context = Array("evidenced/key-tree/v1\n\(now.tree)\n0\n0\n0".utf8)
        #expect(throws: OpenSSLError.self) {
            try top.withWrapped(0) { try wrapper.openKey($0, key: root, context: context.span) }
        }
        // The same row opens under the key that was overwritten, so the check above is one.
        let oldRoot = try old.unwrap(fixture.master, wrapper)
        _ = try top.withWrapped(0) { try wrapper.openKey($0, key: oldRoot, context: context.span) }
        #expect(after.root.range(of: Data(old.wrapped)) == nil)
    }

    /// The same for every node, and whatever opens whatever: starting from the root key there is now, each row of before and
    /// of after is tried under each key that was found for its node, until no other is found.
    @Test("what can be reached from what is left are the living keys, and no others")
    func reach() throws {
        let now = try #require(RootRecord(slot: Array(after.root.suffix(4_096))))
        let root = try now.unwrap(fixture.master, SuiteCipher(.aes))
        let rows = try [before, after].map { files in
            try fixture.put(keys: files.keys)
            let environment = try LMDBEnvironment(fixture.directory)
            let places = (0..<5).map { NodePlace(depth: $0, index: 0) } + (0..<2).map { NodePlace(depth: 5, index: $0) }
            return try places.map { ($0, try environment.node($0)) }
        }
        func reached(from root: CipherKey) throws -> Set<UInt64> {
            let wrapper = try SuiteCipher(.aes)
            var found: [NodePlace: [CipherKey]] = [.top: [root]]
            var slots: Set<UInt64> = []
            // Parents come before their children.
            for position in rows[0].indices {
                for (place, node) in rows.map({ $0[position] }) {
                    for child in node.livingPositions {
                        let context = Array(
                            "evidenced/key-tree/v1\n\(now.tree)\n\(place.depth)\n\(place.index)\n\(child)".utf8
                        )
                        for key in found[place] ?? [] {
                            let opened = try? node.withWrapped(child) {
                                try wrapper.openKey($0, key: key, context: context.span)
                            }
                            guard let opened else { continue }
                            let index = place.index * 64 + UInt64(child)
                            if place.depth == 5 {
                                #expect(opened == keys[Int(index)])
                                slots.insert(index)
                            } else {
                                found[NodePlace(depth: place.depth + 1, index: index), default: []].append(opened)
                            }
                        }
                    }
                }
            }
            return slots
        }
        #expect(try reached(from: root) == Set(0..<128).subtracting(KeyTreeCrashTests.erased))
        // The root key that was overwritten opens all of them: that it is gone is what counts.
        let old = try #require(RootRecord(slot: Array(before.root.prefix(4_096))))
        #expect(try reached(from: old.unwrap(fixture.master, SuiteCipher(.aes))) == Set(0..<128))
    }

    private func rows(_ place: NodePlace) throws -> KeyNode {
        let environment = try LMDBEnvironment(fixture.directory)
        return try environment.node(place)
    }

    @Test("another master key is told from damage")
    func otherMaster() throws {
        let other = try MasterKey(SecretBytes.random(32))
        #expect { try fixture.open(other) } throws: { ($0 as? KeyRefusal)?.code == .otherMaster }
        do { try fixture.open().rotate(to: other) }
        #expect { try fixture.open() } throws: { ($0 as? KeyRefusal)?.code == .otherMaster }
        let tree = try fixture.open(other)
        try expect(tree, isErased: true)
        #expect(tree.epoch == 3)
    }

    @Test("a second process is refused")
    func held() throws {
        let tree = try fixture.open()
        #expect { try fixture.open() } throws: { ($0 as? KeyRefusal)?.code == .inUse }
        withExtendedLifetime(tree) {}
    }

    @Test("a flipped bit of root.key or of a row is found, never followed")
    func flips() throws {
        for position in stride(from: 4_096, to: 4_096 + 400, by: 7) {
            var root = after.root
            root[root.startIndex + position] ^= 4
            try fixture.put(keys: after.keys, root: root)
            #expect { try fixture.open() } throws: { ($0 as? KeyRefusal)?.code == .damaged }
        }
        // Rows: every byte of every node.
        let places = [NodePlace.top, NodePlace(slot: 0), NodePlace(slot: 64), NodePlace(depth: 3, index: 0)]
        for place in places {
            try fixture.put(keys: after.keys, root: after.root)
            let row = try rows(place).row(at: place)
            for position in row.indices where position % 5 == 0 || position < 20 {
                var changed = row
                changed[position] ^= 0x10
                #expect(changed.withUnsafeBytes { KeyNode($0, at: place, .aes) } == nil)
            }
            // Nor does a row pass for that of another place.
            #expect(row.withUnsafeBytes { KeyNode($0, at: NodePlace(depth: 5, index: 9), .aes) } == nil)
        }
    }
}
