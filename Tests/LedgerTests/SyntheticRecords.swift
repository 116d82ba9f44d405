import JSON
import LedgerFormat
import Merkle
import OpenSSL
import SeededRandom

@testable import Ledger

/// Records of entries that exist nowhere else, as random as a seed makes them, and answers found by going through all.
struct SyntheticRecords {
    let all: [LookupRecord]
    let documents: [Digest]
    static let types = ["evidence.deposited", "contract.viewed", "evidence.verified", "evidence"]
    static let submitters = ["one", "two", "tw"]

    /// - Parameter count: from index 0 on.
    init(_ count: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let hasher = SHA256Hasher()
        // Few enough that each is recorded many times, some in all blocks.
        let documents = (0..<40).map { _ in Digest.random(&random) }
        let references = SyntheticRecords.submitters.map { SubmitterReference($0, hasher) }
        var shared = Digest.random(&random)
        all = (0..<count).map { index in
            var digests = DocumentDigests()
            for name in ["sha256", "sm3"] where random.next() % 3 == 0 {
                digests.note(name, documents[Int(random.next() % 40)])
            }
            let submitter = Int(random.next() % 3)
            // Some leaf hashes begin with the same 8 bytes, as nobody can arrange.
            var leaf = Digest.random(&random)
            if random.next() % 100 == 0 { leaf = Digest(Array(shared.bytes.prefix(8) + leaf.bytes.suffix(24))) ?? leaf }
            if random.next() % 1_000 == 0 { shared = leaf }
            return LookupRecord(
                index: UInt64(index),
                leaf: leaf,
                // The last type is that of a single entry.
                type: index == count / 3 ? SyntheticRecords.types[3] : SyntheticRecords.types[Int(random.next() % 3)],
                submitter: SyntheticRecords.submitters[submitter],
                request: RequestReference(
                    submitter: references[submitter],
                    request: RequestKey(value: ID128(high: random.next(), low: random.next()))
                ),
                documents: digests
            )
        }
        self.documents = documents
    }

    func indexes(where predicate: (LookupRecord) -> Bool) -> [UInt64] { all.filter(predicate).map(\.index) }

    /// The blocks that are whole.
    var blocks: [[LookupRecord]] {
        stride(from: 0, through: all.count - Int(LookupBlock.entries), by: Int(LookupBlock.entries)).map {
            Array(all[$0..<$0 + Int(LookupBlock.entries)])
        }
    }

    /// What follows the last whole block.
    var rest: [LookupRecord] { Array(all.dropFirst(blocks.count * Int(LookupBlock.entries))) }
}

extension DocumentDigests {
    mutating func note(_ name: String, _ digest: Digest) {
        let value = JSONValue.string(digest.hex).canonicalBytes
        note(name.utf8.span, value.span)
    }
}

extension Digest {
    static func random(_ random: inout SeededGenerator) -> Digest {
        var bytes: [UInt8] = []
        for _ in 0..<4 { Swift.withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
        return Digest(bytes) ?? .zero
    }
}
