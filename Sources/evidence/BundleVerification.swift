import ArgumentParser
import Bundle
import JSON
import LedgerFormat
import Paths

/// The part of `evidence verify` that checks bundles.
enum BundleVerification {
    /// Whether a file is a bundle rather than a proof: by its first bytes, or, where it can't be one, by its name.
    static func isBundle(_ path: FilePath) throws -> Bool {
        try path.bytes.suffix(4).elementsEqual(".zip".utf8) || LocalFile.beginning(path, count: 2) == Array("PK".utf8)
    }

    /// Verifies a bundle and prints every check.
    ///
    /// - Throws: `ExitCode` where one failed.
    static func run(path: FilePath, key: String?, chinese: Bool, json: Bool) throws {
        // A file that isn't there is no bundle that failed.
        _ = try LocalFile.size(path)
        let report = BundleVerifier.verify(path: path.text ?? "", key: key)
        if json { Terminal.print(json: self.json(report)) } else { print(report, chinese: chinese) }
        if !report.hasPassed { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    private static func print(_ report: BundleReport, chinese: Bool) {
        for check in report.checks { Swift.print(Terminal.printable(check.text(chinese: chinese))) }
        Swift.print("\n" + Terminal.printable(conclusion(report).text(chinese: chinese)))
    }

    private static func conclusion(_ report: BundleReport) -> Words {
        guard report.hasPassed, let manifest = report.manifest else {
            return Words("NOT VERIFIED: do not rely on this bundle", "核验未通过：不应采信本证据包")
        }
        let (origin, count) = (manifest.checkpoint.origin, manifest.entries.count)
        guard report.isKeyKnown else {
            return Words(
                "VERIFIED, but not who signed: \(count) entries of a ledger that calls itself \(origin); give --key",
                "内容核验通过，但签名者身份未经核验：\(count) 个条目，账本自称 \(origin)；请用 --key 提供密钥"
            )
        }
        return Words(
            "VERIFIED: \(origin) recorded these \(count) entries, and nothing in them was changed",
            "核验通过：\(origin) 记录了这 \(count) 个条目，内容未被更改"
        )
    }

    private static func json(_ report: BundleReport) -> JSONValue {
        func both(_ words: Words) -> JSONValue {
            .members(["en": .string(words.english), "zh": .string(words.chinese)])
        }
        let checks: [JSONValue] = report.checks.map { check in
            .members([
                "check": .string(check.kind.name), "member": check.member.map { .string($0) } ?? .null,
                "outcome": .string(check.outcome.rawValue), "remark": check.remark.map(both) ?? .null,
                "step": .int(Int64(check.kind.step)), "words": both(check.kind.words),
            ])
        }
        return .members([
            "checks": .array(checks), "keyKnown": .bool(report.isKeyKnown), "passed": .bool(report.hasPassed),
        ])
    }
}
