import Foundation
import LMDB
import OpenSSL
import Testing

@testable import Keys

/// Rows that are gone: no seal shows that.
@Suite("A key tree that lacks rows")
struct KeyTreeDamageTests {
    private let fixture: TreeFixture

    init() throws {
        fixture = try TreeFixture()
        let tree = try fixture.open()
        _ = try tree.makeSlots(nodes: 65)
    }

    /// Takes a node's row away.
    private func remove(_ place: NodePlace) throws {
        let (environment, schema) = try KeySchema.open(fixture.directory, mapBytes: 16 << 20, access: .writing)
        try environment.write { transaction in
            let rows = try transaction.cursor(schema.nodes) { cursor in
                var rows: [(key: [UInt8], value: [UInt8])] = []
                var item = try cursor.first()
                while let row = item {
                    rows.append((Array(row.key), Array(row.value)))
                    item = try cursor.next()
                }
                return rows
            }
            #expect(rows.contains { $0.key == place.key })
            try transaction.clear(schema.nodes)
            for row in rows where row.key != place.key { try transaction.insert(schema.nodes, row.key, row.value) }
        }
    }

    @Test(
        "is not erased in: the neighbours of the erased would be lost with what is missing",
        arguments: [1, 2, 3, 4, 5] as [UInt8]
    )
    func erasing(depth: UInt8) throws {
        try remove(NodePlace(depth: depth, index: 0))
        let tree = try fixture.open()
        #expect { try tree.erase([0]) } throws: { ($0 as? KeyRefusal)?.code == .damaged }
        #expect(tree.epoch == 1)
    }

    @Test("gets no new row in the place of a missing one")
    func making() throws {
        // Node 65 at the last depth stands below node 1 at the one before, which has one child.
        try remove(NodePlace(depth: 4, index: 1))
        let tree = try fixture.open()
        #expect { try tree.makeSlots(nodes: 1) } throws: { ($0 as? KeyRefusal)?.code == .damaged }
    }
}
