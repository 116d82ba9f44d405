import LedgerFormat
import Merkle
import Testing

@testable import Ledger

/// What an audit sees only where two chunks meet.
@Suite struct AuditWalkTests {
    private func chunk(_ first: UInt64, before: AuditChunk.Link?, last: AuditChunk.Link) -> AuditChunk {
        var chunk = AuditChunk(first: first)
        chunk.before = before
        chunk.last = last
        return chunk
    }

    private func link(_ leaf: UInt8, _ microseconds: Int64?) -> AuditChunk.Link {
        AuditChunk.Link(
            leaf: Digest([UInt8](repeating: leaf, count: 32)) ?? .zero,
            time: microseconds.map { LedgerTime(microseconds: $0) }
        )
    }

    private func findings(_ chunks: [AuditChunk]) -> [AuditFinding] {
        var walk = AuditWalk(size: 0)
        for chunk in chunks { walk.join(chunk) }
        return walk.findings
    }

    @Test func timesAscendAcrossTheBorder() {
        for (earlier, later, isFound) in [(5, 6, false), (5, 5, true), (5, 4, true)] as [(Int64, Int64, Bool)] {
            let found = findings([
                chunk(0, before: link(0, 1), last: link(1, earlier)),
                chunk(AuditChunk.entries, before: link(1, later), last: link(2, 9)),
            ])
            #expect(found.map(\.index) == (isFound ? [AuditChunk.entries] : []), "\(earlier), then \(later)")
            #expect(found.allSatisfy { $0.what == "is not later than the entry before it" })
        }
    }

    /// Where the entries at the border cannot be read, the last time that could be stands for theirs.
    @Test func aTimeIsRememberedAcrossAChunkWithoutOne() {
        for (later, isFound) in [(6, false), (5, true)] as [(Int64, Bool)] {
            let found = findings([
                chunk(0, before: link(0, 1), last: link(1, 5)),
                chunk(AuditChunk.entries, before: nil, last: link(2, nil)),
                chunk(2 * AuditChunk.entries, before: link(2, later), last: link(3, 9)),
            ])
            #expect(found.map(\.index) == (isFound ? [2 * AuditChunk.entries] : []))
        }
    }

    @Test func theChainGoesOnAcrossTheBorder() {
        let found = findings([
            chunk(0, before: link(0, 1), last: link(1, 2)),
            chunk(AuditChunk.entries, before: link(7, 3), last: link(2, 4)),
        ])
        #expect(found.map(\.index) == [AuditChunk.entries])
        #expect(found.allSatisfy { $0.what == "does not name the leaf hash of the entry before it" })
    }
}
