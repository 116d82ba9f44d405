import Foundation
import LMDB
import Merkle
import OpenSSL
import Testing

@testable import Keys

/// The known answers of `ledger-format.md` section 10, which a program that shares nothing with this one computed.
@Suite("The key tree of the document")
struct KeyTreeKnownAnswerTests {
    private let lines: [String]

    init() throws {
        var directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while directory.path != "/",
            !FileManager.default.fileExists(atPath: directory.appendingPathComponent("ledger-format.md").path)
        { directory.deleteLastPathComponent() }
        let document = try String(contentsOf: directory.appendingPathComponent("ledger-format.md"), encoding: .utf8)
        lines = document.components(separatedBy: "\n")
    }

    private func bytes(_ title: String) throws -> [UInt8] {
        let start = try #require(lines.firstIndex { $0.hasPrefix("    " + title) }, "\(title)")
        let hex = lines[(start + 1)...].prefix { $0.hasPrefix("        ") }
        return try #require(Hex.decode(hex.map { $0.dropFirst(8) }.joined()))
    }

    /// The slot of `root.key`.
    private func slot(_ suite: CipherSuite) throws -> [UInt8] {
        let named = try #require(lines.firstIndex(of: "    suite \(suite.rawValue)"))
        let text = lines[(named - 2)...].prefix { $0.hasPrefix("    ") }.map { $0.dropFirst(4) + "\n" }.joined()
        let hash = try bytes("hash at the end of its slot, \(suite.rawValue), 32 bytes:")
        return Array(text.utf8) + [UInt8](repeating: 0, count: 4_096 - 32 - text.utf8.count) + hash
    }

    private let master = Result { try MasterKey(SecretBytes(copying: 0x60...0x7F)) }

    @Test("is opened, from the keyring to the key of a slot")
    func isOpened() throws {
        let directory = NSTemporaryDirectory() + "keys." + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(try master.get().id == "1f6561641b7c81a8")
        try Data(slot(.aes)).write(to: URL(fileURLWithPath: directory + "/root.key"))
        do {
            let environment = try Environment(directory: directory, mapBytes: 1 << 20, databases: 2)
            let databases = try environment.databases(["nodes", "head"], create: true)
            try environment.write { transaction in
                let head =
                    "evidenced key tree 1\ntree 00112233445566778899aabbccddeeff\nsuite aes-256-gcm\nepoch 1\nslots 64\n"
                try transaction.set(databases[1], Array("head".utf8), Array(head.utf8))
                for depth in UInt8(0)...5 {
                    let key = [depth] + [UInt8](repeating: 0, count: 8)
                    try transaction.set(databases[0], key, bytes("node 0 at depth \(depth), 92 bytes:"))
                }
            }
        }
        let tree = try KeyTree(directory: directory, master: master.get())
        #expect(try tree.key(of: 0).living == CipherKey(SecretBytes(copying: 0x40...0x5F)))
        #expect(try tree.key(of: 1).isUnknown)
        #expect(tree.suite == .aes && tree.epoch == 1 && tree.slots == 64)
    }

    @Test("is what is written here too", arguments: CipherSuite.allCases)
    func isWritten(_ suite: CipherSuite) throws {
        let wrapper = try SuiteCipher(suite)
        let tree = "00112233445566778899aabbccddeeff"
        func key(_ first: UInt8) throws -> CipherKey { try CipherKey(SecretBytes(copying: first...first + 31)) }
        let record = try RootRecord.wrapping(key(0x80), tree: tree, epoch: 1, master.get(), wrapper)
        #expect(record.slot == (try slot(suite)))
        let keys: [UInt8] = [0x80, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x40]
        for depth in suite == .aes ? Array(0..<6) : [0, 5] {
            let place = NodePlace(depth: UInt8(depth), index: 0)
            var wrapped: [UInt8] = []
            let context = Array("evidenced/key-tree/v1\n\(tree)\n\(depth)\n0\n0".utf8)
            try wrapper.seal(key(keys[depth + 1]).secret, key: key(keys[depth]), context: context.span, to: &wrapped)
            var node = KeyNode(suite)
            node.set(0, wrapped)
            let title =
                suite == .aes ? "node 0 at depth \(depth), 92 bytes:" : "node 0 at depth \(depth), sm4, 112 bytes:"
            #expect(node.row(at: place) == (try bytes(title)))
        }
    }
}
