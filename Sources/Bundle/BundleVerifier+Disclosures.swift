import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// Steps 8 and 9: what was disclosed, and the documents themselves.
extension BundleVerifier {
    mutating func checkOpenings() -> Words? {
        let byIndex = Dictionary(entries.map { ($0.entry.index, $0.entry) }) { first, _ in first }
        var count = 0
        for (name, bytes) in texts.sorted(by: { $0.key < $1.key }) {
            guard case .opening(let index, let claim) = BundleMember(name: name) else { continue }
            count += 1
            do {
                let opening = try OpeningText(bytes)
                try check(opening, bytes, claim: claim, entry: byIndex[index])
                opened[index, default: [:]][claim] = opening
            } catch {
                fail(.openings, name, Words(error: error))
            }
        }
        return Words(count: count, "value", "values", "项")
    }

    private func check(_ opening: OpeningText, _ bytes: [UInt8], claim: String, entry: Entry?) throws {
        guard opening.name.utf8.elementsEqual(claim.utf8) else {
            throw BundleFormatError("the name in it is another than in its file name", "其中的名称与文件名不符")
        }
        guard let entry else { throw BundleFormatError("its record is missing or can't be read", "所属记录缺失或无法读取") }
        let commitments = entry.claims.flatMap(\.claims).filter { $0.name.utf8.elementsEqual(claim.utf8) }
        guard let commitment = commitments.first?.commitment else {
            throw BundleFormatError("its record has no such value", "所属记录没有此项内容")
        }
        guard hasher.hash(bytes) == commitment else {
            throw BundleFormatError("its SHA-256 is not the salted hash in the record", "其 SHA-256 与记录中的加盐哈希值不同")
        }
        let field = EventCatalogue.type(named: entry.type)?.claims.first { $0.name == claim }
        guard let field, field.rule.allows(opening.value) else {
            throw BundleFormatError("its value breaks the rule of its type", "其值不符合类型的规则")
        }
    }

    mutating func checkOriginals() -> Words? {
        guard let manifest = report.manifest else {
            note(.originals, .unchecked, nil, Words("there is no manifest to go by", "没有可依据的清单"))
            return nil
        }
        for row in manifest.originals {
            guard let digests = originals[row.name] else {
                fail(.originals, row.name, Words("it is missing or can't be read", "缺失或无法读取"))
                continue
            }
            let claims = opened[row.index] ?? [:]
            guard let recorded = claims["sha256"] else {
                fail(
                    .originals,
                    row.name,
                    Words("the sha256 of record \(row.index) is not disclosed", "第 \(row.index) 项记录的 sha256 未披露")
                )
                continue
            }
            let pairs: [(name: String, isSame: Bool)] = [
                ("sha256", recorded.value == .string(digests.sha256.hex)),
                ("sm3", claims["sm3"].map { $0.value == digests.sm3.map { .string($0.hex) } } ?? true),
                ("size", claims["size"].map { $0.value == .int(Int64(clamping: digests.size)) } ?? true),
            ]
            for pair in pairs where !pair.isSame {
                fail(
                    .originals,
                    row.name,
                    Words(
                        "record \(row.index) records another \(pair.name)",
                        "与第 \(row.index) 项记录所载的 \(pair.name) 不同"
                    )
                )
            }
        }
        return Words(count: manifest.originals.count, "original", "originals", "份所附电子文件")
    }
}
