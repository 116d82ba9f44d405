import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

@Suite struct ProofTests {
    @Test func everyReceiptIsProvenByItsCheckpoint() throws {
        let fixture = try LedgerFixture()
        let verifier = try CheckpointVerifier(vkey: fixture.vkey)
        try fixture.whileOpen { ledger in
            var hasher = SHA256Hasher()
            for round in 1...12 {
                let outcome = try ledger.submit((0..<round).map { _ in try Sample.deposit() })
                let proofs = try ledger.proofs(of: outcome.receipts.map(\.index), in: outcome.checkpoint)
                for (receipt, proof) in zip(outcome.receipts, proofs) {
                    let reread = try TlogProof(parsing: proof.encoded)
                    let checkpoint = try reread.verify(
                        leaf: hasher.leaf(ledger.entry(at: receipt.index).bytes),
                        origin: ledger.origin,
                        verifiers: [verifier],
                        hasher: &hasher
                    )
                    #expect(checkpoint.size == outcome.checkpoint.size && reread.index == receipt.index)
                }
            }
        }
    }

    @Test func everyIndexAndSizeCanBeProven() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            _ = try ledger.submit((0..<37).map { _ in try Sample.deposit() })
            let size = ledger.checkpoint.size
            var hasher = SHA256Hasher()
            for second in 1...size {
                for index in stride(from: 0, to: second, by: 5) {
                    let answer = try ledger.proveInclusion(of: index, size: second)
                    try ProofVerifier.inclusion(
                        leaf: answer.leaf,
                        index: index,
                        size: second,
                        path: answer.path,
                        root: answer.root,
                        hasher: &hasher
                    )
                    // Between checkpoints there is a proof but no signed note to put it in.
                    if second == size { #expect(answer.proof != nil) }
                    if second > 3, second < size { #expect(answer.proof == nil) }
                }
                for first in stride(from: 1, through: second, by: 3) {
                    let answer = try ledger.proveConsistency(first: first, second: second)
                    try ProofVerifier.consistency(
                        first: first,
                        second: second,
                        firstRoot: answer.firstRoot,
                        secondRoot: answer.secondRoot,
                        path: answer.path,
                        hasher: &hasher
                    )
                }
            }
            #expect(throws: LedgerError.self) { try ledger.proveInclusion(of: size) }
            #expect(throws: LedgerError.self) { try ledger.proveInclusion(of: 0, size: size + 1) }
            #expect(throws: LedgerError.self) { try ledger.proveConsistency(first: 0) }
            #expect(throws: LedgerError.self) { try ledger.proveConsistency(first: 2, second: 1) }
        }
    }

    @Test func proofsAtEarlierCheckpointsStayComplete() throws {
        let fixture = try LedgerFixture()
        let verifier = try CheckpointVerifier(vkey: fixture.vkey)
        let sizes = try fixture.whileOpen { ledger in
            try (0..<6).map { _ in try ledger.submit([Sample.deposit()]).checkpoint.size }
        }
        try fixture.whileOpen { ledger in
            var hasher = SHA256Hasher()
            for size in sizes {
                let answer = try ledger.proveInclusion(of: size - 1, size: size)
                let proof = try #require(answer.proof)
                _ = try proof.verify(
                    leaf: answer.leaf,
                    origin: ledger.origin,
                    verifiers: [verifier],
                    hasher: &hasher
                )
            }
        }
    }

    @Test func leavesAreFoundByTheirHash() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let receipts = try ledger.submit((0..<20).map { _ in try Sample.deposit() }).receipts
            for receipt in receipts { #expect(try ledger.index(ofLeaf: receipt.leaf) == receipt.index) }
            #expect(throws: LedgerError.self) { try ledger.index(ofLeaf: .zero) }
        }
    }

    /// Tiles put together again give the leaves, the entries and the root (C2SP tlog-tiles).
    @Test func tilesRebuildTheTree() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            for _ in 0..<3 { _ = try ledger.submit((0..<200).map { _ in try Sample.deposit() }) }
            let size = ledger.checkpoint.size
            var hasher = SHA256Hasher()
            var range = CompactRange()
            var entries = 0
            for number in 0...(size - 1) / 256 {
                let width = min(256, size - number * 256)
                let suffix = width == 256 ? "" : ".p/\(width)"
                let name = "00\(number)"
                let hashes = try #require(try Tile(path: "tile/0/\(name)\(suffix)").flatMap { try ledger.tile($0) })
                let bundle = try #require(
                    try Tile(path: "tile/entries/\(name)\(suffix)").flatMap { try ledger.tile($0) }
                )
                #expect(hashes.count == Int(width) * 32)
                var rest = bundle[...]
                for position in 0..<Int(width) {
                    let length = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
                    let entry = Array(rest.prefix(length))
                    rest = rest.dropFirst(length)
                    let leaf = hasher.leaf(entry)
                    #expect(leaf.bytes == Array(hashes[position * 32..<position * 32 + 32]))
                    range.append(leaf, hasher: &hasher) { _, _ in }
                    entries += 1
                }
                #expect(rest.isEmpty)
            }
            #expect(entries == Int(size) && range.root(&hasher) == ledger.checkpoint.root)
            let top = try #require(try Tile(path: "tile/1/000.p/2").flatMap { try ledger.tile($0) })
            #expect(top.count == 64)
            #expect(try Tile(path: "tile/1/000.p/3").flatMap { try ledger.tile($0) } == nil)
            #expect(try Tile(path: "tile/0/009").flatMap { try ledger.tile($0) } == nil)
        }
    }

    /// A proof that a damaged tree gives would fail in court; it is not given out.
    @Test func noProofOfADamagedTreeIsGivenOut() throws {
        let fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in
            let outcome = try ledger.submit((0..<5).map { _ in try Sample.deposit() })
            let size = ledger.checkpoint.size
            try ledger.environment.write { transaction in
                guard var row = try transaction.get(ledger.schema.tree, StoreKey.number(0)).map({ Array($0) }) else {
                    throw Unexpected("entry 0 has no tree row")
                }
                row[0] ^= 1
                try transaction.set(ledger.schema.tree, StoreKey.number(0), row)
            }
            // The hash of entry 0 is in the path of entry 1, and at the root of every smaller tree.
            #expect(throws: StoreDamage.self) { try ledger.proveInclusion(of: 1) }
            #expect(throws: StoreDamage.self) { try ledger.proofs(of: [1], in: outcome.checkpoint) }
            #expect(throws: StoreDamage.self) { try ledger.proveConsistency(first: 1, second: size) }
            // Proofs that have nothing to do with it are.
            #expect(try ledger.proofs(of: [size - 1], in: outcome.checkpoint).count == 1)
        }
    }
}
