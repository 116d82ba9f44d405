import ArgumentParser
import Bundle
import JSON
import LedgerFormat
import Paths

/// The part of `evidence verify` that checks bundles.
enum BundleVerification {
    /// Verifies a bundle and prints every check.
    ///
    /// - Throws: `ExitCode` where one failed, another where nothing shows whose ledger it is, and another where the checks
    ///   could not be made.
    static func run(_ material: Material, key: GivenKey?, chinese: Bool, json: Bool) throws {
        let report = BundleVerifier.verify(path: material.path, key: key)
        if json { Terminal.print(json: self.json(report)) } else { print(report, chinese: chinese) }
        switch report.verdict {
        case .verified: break
        case .notShown: throw ExitCode(ExitStatus.notShown.rawValue)
        case .failed: throw ExitCode(ExitStatus.refused.rawValue)
        case .notChecked: throw ExitCode(ExitStatus.system.rawValue)
        }
    }

    private static func print(_ report: BundleReport, chinese: Bool) {
        if let trouble = report.trouble {
            let words = Words(
                "NOT CHECKED: this computer could not make the checks: \(trouble.english). Nothing is said of the bundle.",
                "未能核验：本计算机无法完成核验（\(trouble.chinese)）。对本证据包不作任何判断。"
            )
            return Swift.print(Terminal.printable(words.text(chinese: chinese)))
        }
        for check in report.checks { Swift.print(Terminal.printable(check.text(chinese: chinese))) }
        Swift.print("")
        for line in conclusion(report) + people(report) + besides(report) {
            Swift.print(Terminal.printable(line.text(chinese: chinese)))
        }
    }

    /// Who is in it: what they are called on the page, the names that are disclosed, what they did, and how their ids end.
    private static func people(_ report: BundleReport) -> [Words] {
        guard report.hasPassed, let people = report.people else { return [] }
        return people.people.map { person in
            let names = person.names.joined(separator: " / ")
            let roles = (
                person.roles.map(\.english).joined(separator: ", "), person.roles.map(\.chinese).joined(separator: "、")
            )
            let end = "…\(people.tail(person.stream))"
            let reported = roles.0.isEmpty ? ("", "") : ("  as systems report: \(roles.0)", "　系统报告：\(roles.1)")
            return Words(
                "\(person.label.english): \(names.isEmpty ? "name not disclosed" : names) (\(end))\(reported.0)",
                "\(person.label.chinese)：\(names.isEmpty ? "姓名或名称未披露" : names)（\(end)）\(reported.1)"
            )
        } + (people.numbersParties ? [BundlePeople.aboutNumbers] : [])
    }

    /// What a reader has to know though the verdict does not rest on it.
    private static func besides(_ report: BundleReport) -> [Words] {
        guard report.hasPassed else { return [] }
        let unchecked = Words(
            "NOTE: page and instructions in this bundle are another program's and were NOT checked: don't rely on what they show.",
            "提示：本证据包中的网页和核验说明出自其他软件，未经核验：不应采信其所显示的内容。"
        )
        return documents(report) + citations(report) + clock(report) + absences(report)
            + (report.isPageChecked ? [] : [unchecked])
    }

    /// Which document each signature is of.
    private static func documents(_ report: BundleReport) -> [Words] {
        list(
            report.signedDocuments,
            under: Words(
                "NOTE: which document each signature is of, by the digests that systems reported:",
                "提示：各签署对应的文件（依系统所报哈希值）："
            )
        )
    }

    /// All that is not there, and whom to ask for it.
    private static func absences(_ report: BundleReport) -> [Words] {
        let heading = BundleAbsence.heading
        return list(
            report.absences.map(\.words),
            under: Words("NOTE: \(heading.english)", "提示：\(heading.chinese)")
        )
    }

    /// Citations that don't hold, with whose record each is and what rests on it.
    private static func citations(_ report: BundleReport) -> [Words] {
        list(
            remarks(report, .citations),
            under: Words(
                "NOTE: citations that do not fit; that what they name is tied to the record is not shown here:",
                "提示：部分引用不符，此处不能证明其与被引用记录的关联："
            )
        )
    }

    /// From which record on the clock was in doubt, or that nothing tells.
    private static func clock(_ report: BundleReport) -> [Words] {
        let doubts = Words("NOTE: the ledger's clock was in doubt:", "提示：账本时钟曾存疑：")
        let untold = remarks(report, .clock, .unchecked).map {
            Words(
                "NOTE: whether the ledger's clock was synchronised is not told: \($0.english).",
                "提示：账本时钟是否同步：\($0.chinese)。"
            )
        }
        return list(remarks(report, .clock), under: doubts) + untold
    }

    private static func remarks(
        _ report: BundleReport,
        _ kind: BundleCheckKind,
        _ outcome: BundleCheck.Outcome = .noted
    ) -> [Words] {
        report.checks.filter { $0.kind == kind && $0.outcome == outcome }.compactMap(\.remark)
    }

    private static func list(_ items: [Words], under head: Words) -> [Words] {
        guard !items.isEmpty else { return [] }
        let more = items.count - mostTold
        return [head] + items.prefix(mostTold).map { Words("NOTE:   \($0.english)", "提示：　\($0.chinese)") }
            + (more > 0 ? [Words("NOTE:   and \(more) more", "提示：　另有 \(more) 处")] : [])
    }

    /// As many of a kind are told once more beside the verdict.
    private static let mostTold = 20

    private static func conclusion(_ report: BundleReport) -> [Words] {
        guard report.hasPassed, let manifest = report.manifest else {
            guard report.isOnlyAnothersKey else {
                return [Words("FAILED: do not rely on this bundle", "核验未通过：不应采信本证据包")]
            }
            return [
                Words(
                    "NOT THIS KEY: the bundle agrees in itself, but the key given is another. Either it is the wrong key, or the "
                        + "bundle does not come from its holder. Do not rely on it before that is cleared up.",
                    "密钥不符：证据包内部各项相符，但与所提供的密钥不符。或者所提供的密钥不对，或者本证据包并非出自该密钥的持有者；"
                        + "查明之前不应采信。"
                ), aboutTheKey,
            ]
        }
        let (origin, count) = (manifest.checkpoint.origin, manifest.entries.count)
        // How the records stand to the checkpoint: nothing shows when that was signed.
        let copied = Words(
            "(If it was copied from this bundle, the comparison shows nothing.)",
            "（如抄自本证据包，此比对无证明意义。）"
        )
        // What does not fit is no failure, and yet nobody may miss it.
        let (read, readZH) =
            report.toldMisfits.map { ("but \($0.english). Read", "，但有 \($0.chinese)。请阅读") } ?? ("read", "，请阅读")
        let asSigned = [
            Words(
                "The integrity checks made here hold; \(read) the notes. The \(count) records of \(origin) are as the checkpoint has "
                    + "them; when that was signed, and whether the ledger was rewritten before, is not shown.",
                "此处所作各项完整性核验均成立\(readZH)提示。\(origin) 的 \(count) 项记录与所附账本签名快照一致；"
                    + "快照的数字签名时间不明，此前是否改写不能排除。"
            ), aboutTheKey,
        ]
        switch report.signer {
        case .given:
            return [
                Words(
                    "KEYS MATCH: the key given is the one that signed this ledger; where it came from is not shown here.",
                    "仅密钥比对一致：所提供的密钥与对账本作数字签名的密钥相同；其来源未经核实。"
                )
            ] + [copied] + asSigned
        case .succeeded:
            return [
                Words(
                    "KEYS MATCH: the key of this ledger follows, by unbroken signatures, from the key given; where that came "
                        + "from is not shown here.",
                    "仅密钥比对一致：账本密钥由所提供的密钥起，经各密钥连续签名接续而来；所提供的密钥来源未经核实。"
                )
            ] + [copied] + asSigned
        case .notShown:
            return [
                Words(
                    "NOT CONFIRMED: all else holds, but not whether the ledger \(origin) is its operator's",
                    "尚未确认：其余各项核验均成立，但账本 \(origin) 是否属于其所称的运营方尚未确认"
                ),
                Words(
                    "Ask the ledger operator for its current verification key, by a way of its own; give it with --key.",
                    "请通过独立途径向账本运营方索取其现行验证密钥，并用 --key 提供。"
                ),
                Words(
                    "Until the key is confirmed, no record, of a signature or of anything else, can be taken to be the operator's.",
                    "密钥确认前，全部记录（含签署记录）均不能认定出自该运营方。"
                ),
            ] + asSigned
        }
    }

    /// Beside every verdict: readers took the key for that of the contract's signer.
    static let aboutTheKey = Words(
        "(Only keys are compared: who the operator is, and who signed a contract, is not checked. Nor are the parties' own "
            + "electronic signatures and certificates, of which records have at most the digests.)",
        "（仅比对密钥；未核实运营方身份，亦未核验何人签署合同；当事人对合同的电子签名及其证书未经核验；记录中至多载有其哈希值。）"
    )

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
            "trouble": report.trouble.map(both) ?? .null,
            "absent": .array(
                report.absences.map { .members(["kind": .string($0.kind.rawValue), "words": both($0.words)]) }
            ),
            "pageChecked": .bool(report.isPageChecked), "checks": .array(checks),
            "signedDocuments": .array(report.signedDocuments.map(both)),
            "container": report.container.map { .string($0.rawValue) } ?? .null,
            "passed": .bool(report.verdict == .verified),
            "signer": .string(report.signer.rawValue), "verdict": .string(report.verdict.rawValue),
        ])
    }
}
