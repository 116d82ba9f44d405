import LedgerFormat
import Merkle
import OpenSSL
import SeededRandom
import Testing

@testable import Ledger

@Suite struct LookupBlockTests {
    /// The search by halving against going through every record of the row.
    @Test func searchesFindWhatGoingThroughAllFinds() {
        var random = SeededGenerator(seed: 16_384)
        for width in [3, 4, 10, 18] {
            for count in [0, 1, 2, 3, 7, 64, 500] {
                // Few values for each byte, so that prefixes repeat.
                var records = (0..<count).map { _ in (0..<width).map { _ in UInt8(random.next() % 4) * 85 } }
                records.sort { $0.lexicographicallyPrecedes($1) }
                let row = records.flatMap { $0 }
                for length in 1...width - 2 {
                    let prefixes =
                        records.prefix(40).map { Array($0.prefix(length)) }
                        + (0..<20).map { _ in (0..<length).map { _ in UInt8(random.next() % 4) * 85 } }
                        + [[UInt8](repeating: 0, count: length), [UInt8](repeating: 255, count: length)]
                        + [[UInt8](repeating: 1, count: length)]
                    for prefix in prefixes {
                        let expected = records.filter { $0.starts(with: prefix) }.map {
                            UInt16($0[width - 2]) << 8 | UInt16($0[width - 1])
                        }
                        let found = row.withUnsafeBytes {
                            LookupBlock.offsets($0, beginningWith: prefix, width: width)
                        }
                        #expect(found == expected, "\(prefix) of \(width) in \(count)")
                    }
                }
            }
        }
    }

    /// Every row of a block, by what `ledger-format.md` section 9 says of it.
    @Test func rowsHoldEveryEntryOfTheBlock() throws {
        let records = SyntheticRecords(2 * Int(LookupBlock.entries), seed: 1).blocks[1]
        let hash = KeyedHash(key: SecretBytes(copying: [UInt8](repeating: 7, count: 32)))
        let block = LookupBlock(records, hash: hash)
        #expect(block.number == 1)

        let leaves = rows(block.leaves, width: 10)
        #expect(leaves.count == records.count)
        #expect(zip(leaves, leaves.dropFirst()).allSatisfy { !$1.lexicographicallyPrecedes($0) })
        let expected = records.map { Array($0.leaf.bytes.prefix(8)) + offset($0) }
        #expect(Set(leaves) == Set(expected))

        let documents = rows(block.documents, width: 18)
        #expect(zip(documents, documents.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
        let keys = records.flatMap { record in
            Set([record.documents.sha256, record.documents.sm3].compactMap { $0 }).map { digest in
                let message = Array("evidenced/document/v1\n\(digest.hex)".utf8)
                return Array(hash.hash(message).bytes.prefix(16)) + offset(record)
            }
        }
        #expect(documents.count == keys.count && Set(documents) == Set(keys))

        for (rows, name) in [(block.types, \LookupRecord.type), (block.submitters, \LookupRecord.submitter)] {
            #expect(Set(rows.keys) == Set(records.map { $0[keyPath: name] }))
            for (value, row) in rows {
                #expect(row == records.filter { $0[keyPath: name] == value }.flatMap { offset($0) })
                let offsets = row.withUnsafeBytes { LookupBlock.offsets($0) }
                #expect(offsets.count == row.count / 2 && zip(offsets, offsets.dropFirst()).allSatisfy { $0 < $1 })
            }
        }
    }

    private func offset(_ record: LookupRecord) -> [UInt8] {
        let offset = record.index % 16_384
        return [UInt8(offset / 256), UInt8(offset % 256)]
    }

    private func rows(_ row: [UInt8], width: Int) -> [[UInt8]] {
        stride(from: 0, to: row.count, by: width).map { Array(row[$0..<$0 + width]) }
    }

    @Test func documentDigestsAreThoseOfTheTwoClaims() throws {
        var random = SeededGenerator(seed: 2)
        let (one, other) = (Digest.random(&random), Digest.random(&random))
        var digests = DocumentDigests()
        for name in ["sha25", "sha2566", "sm", "sm33", "SHA256", "size", ""] { digests.note(name, one) }
        for text in ["\"\(one.hex)a\"", "\"\(one.hex.uppercased())\"", "\"\"", "1", "null", "[\"\(one.hex)\"]"] {
            let (name, value) = ("sha256", Array(text.utf8))
            digests.note(name.utf8.span, value.span)
        }
        #expect(digests == DocumentDigests())
        digests.note("sha256", one)
        digests.note("sm3", other)
        #expect(digests.sha256 == one && digests.sm3 == other)
        #expect(digests.contains(one) && digests.contains(other) && !digests.contains(.zero))
        var found: [Digest] = []
        digests.forEach { found.append($0) }
        #expect(found == [one, other])
        digests.note("sm3", one)
        found = []
        digests.forEach { found.append($0) }
        #expect(found == [one])
    }
}
