import Foundation
import LMDB
import Merkle
import OpenSSL
import Testing

@testable import Keys

/// A tree in a directory of its own.
final class TreeFixture {
    let directory: String
    let master: MasterKey

    init(_ suite: CipherSuite = .aes) throws {
        directory = NSTemporaryDirectory() + "keys." + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        master = try MasterKey(SecretBytes.random(32))
        _ = try KeyTree.create(in: directory, master: master, suite: suite)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open(_ master: MasterKey? = nil) throws -> KeyTree {
        try KeyTree(directory: directory, master: master ?? self.master)
    }

    /// The bytes of both files.
    func files() throws -> (keys: Data, root: Data) {
        (
            try Data(contentsOf: URL(fileURLWithPath: directory + "/data.mdb")),
            try Data(contentsOf: URL(fileURLWithPath: directory + "/root.key"))
        )
    }

    func put(keys: Data? = nil, root: Data? = nil) throws {
        try keys?.write(to: URL(fileURLWithPath: directory + "/data.mdb"))
        try root?.write(to: URL(fileURLWithPath: directory + "/root.key"))
    }
}

extension KeyTree.SlotKey {
    var living: CipherKey? { if case .living(let key) = self { key } else { nil } }
    var isErased: Bool { if case .erased = self { true } else { false } }
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
}

@Suite("The key tree")
struct KeyTreeTests {
    @Test("gives back the keys it made, also when it is opened again", arguments: CipherSuite.allCases)
    func making(suite: CipherSuite) throws {
        let fixture = try TreeFixture(suite)
        var keys: [CipherKey] = []
        do {
            let tree = try fixture.open()
            #expect(tree.suite == suite && tree.slots == 0 && tree.epoch == 1)
            for nodes in [1, 2, 65] {
                let made = try tree.makeSlots(nodes: nodes)
                #expect(made.first == UInt64(keys.count))
                keys += made.keys
            }
            #expect(try tree.key(of: 5).living == keys[5])
        }
        let tree = try fixture.open()
        #expect(tree.slots == 68 * 64 && keys.count == 68 * 64)
        for slot in stride(from: 0, to: keys.count, by: 61) {
            #expect(try tree.key(of: UInt64(slot)).living == keys[slot])
        }
        #expect(try tree.key(of: tree.slots).isUnknown)
        #expect(try tree.makeSlots(nodes: 1).first == 68 * 64)
        // No two are the same.
        #expect(Set(keys.map { $0.secret.withUnsafeBytes { Array($0) } }).count == keys.count)
    }

    @Test("erases what it is asked to, keeps all else, and goes on", arguments: CipherSuite.allCases)
    func erasing(suite: CipherSuite) throws {
        let fixture = try TreeFixture(suite)
        let tree = try fixture.open()
        let keys = try tree.makeSlots(nodes: 66).keys
        let erased: [[UInt64]] = [[7], [0, 63, 64, 4_200], Array(128..<192), [7]]
        var gone: Set<UInt64> = []
        for (round, slots) in erased.enumerated() {
            try tree.erase(slots)
            gone.formUnion(slots)
            #expect(tree.epoch == UInt64(round + 2))
        }
        func check(_ tree: KeyTree) throws {
            for slot in 0..<UInt64(keys.count) {
                let key = try tree.key(of: slot)
                if gone.contains(slot) {
                    #expect(key.isErased)
                } else {
                    #expect(key.living == keys[Int(slot)])
                }
            }
        }
        try check(tree)
        let more = try tree.makeSlots(nodes: 1)
        #expect(try tree.key(of: more.first + 3).living == more.keys[3])
        try tree.erase(0..<tree.slots)
        for slot in stride(from: 0, to: tree.slots, by: 100) { #expect(try tree.key(of: slot).isErased) }
        // A tree of which nothing lives takes new slots.
        let last = try tree.makeSlots(nodes: 2)
        #expect(try tree.key(of: last.first).living == last.keys[0])
    }
}
