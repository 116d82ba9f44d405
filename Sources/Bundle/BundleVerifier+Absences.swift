import JSON
import LedgerFormat

/// What is not in the bundle, with whom to ask for it, and which document each signature is of (`ledger-format.md`
/// section 14, "What is not here").
extension BundleVerifier {
    private static let askBoth = Words(
        "Ask whoever filed this bundle, and the ledger operator.",
        "可要求举证方补充提交，亦可向账本运营方调取。"
    )

    /// Tells of all kinds that apply, in their order.
    mutating func tellAbsences() {
        guard let manifest = report.manifest, let newest = entries.last?.entry.index else { return }
        let (cited, kinds) = citedAndAbsent()
        let (earlier, later) = uncited(cited, newest: newest, size: manifest.checkpoint.size)
        let both = BundleVerifier.askBoth
        if !later.runs.isEmpty {
            tell(
                .later,
                "Later than the newest record here: \(later.words.english). What is recorded there is unknown, and could change "
                    + "the story (a withdrawal, a refusal). \(both.english)",
                "晚于所含最新一项的：\(later.words.chinese)。其内容不明，可能改变案情（如撤回、拒绝）。\(both.chinese)"
            )
        }
        tell(
            .beyond,
            "Later than the checkpoint, which ends with record \(manifest.checkpoint.size - 1): whether anything was recorded since "
                + "is unknown. Ask the ledger operator for a newer bundle.",
            "账本签名快照（至第 \(manifest.checkpoint.size - 1) 项记录为止）之后：有无记录不明。可要求账本运营方出具更新的证据包。"
        )
        if !kinds.isEmpty {
            let list = Words(list: kinds.map { Words("as \($0.english)", $0.chinese) })
            tell(.cited, "Cited here, \(list.english). \(both.english)", "被引用的：\(list.chinese)。\(both.chinese)")
        }
        tellSignatureRecords(cited)
        tellParties()
        tellNames()
        if !earlier.runs.isEmpty {
            // Else somebody would take them for records of the contract's story.
            let others =
                manifest.streams.isEmpty
                ? Words("", "")
                : Words(
                    " Of the stories listed as complete none is missing, up to the newest record here of each.",
                    "列为完整的记录流，在各自所含最新一项记录之前没有遗漏。"
                )
            tell(
                .earlier,
                "Cited by nothing here: \(earlier.words.english). What is recorded there is unknown.\(others.english) \(both.english)",
                "此处未引用的：\(earlier.words.chinese)。其内容不明。\(others.chinese)\(both.chinese)"
            )
        }
        tellFiles(manifest)
        tellValues()
        tellOwnSignatures()
        tellRest(manifest)
    }

    private mutating func tell(_ kind: BundleAbsence.Kind, _ english: String, _ chinese: String) {
        report.absences.append(BundleAbsence(kind, english, chinese))
    }

    /// Records that are cited and not there, and what they are cited as, by the first record of each.
    private func citedAndAbsent() -> (all: Set<UInt64>, kinds: [Words]) {
        let here = Set(entries.map(\.entry.index))
        var kinds: [(words: Words, indexes: Set<UInt64>)] = []
        for read in entries {
            for citation in read.entry.citations
            where citation.isOfEntry && citation.cited < read.entry.index && !here.contains(citation.cited) {
                let kind = Words(citedAs: citation.field, in: read.entry)
                if let position = kinds.firstIndex(where: { $0.words == kind }) {
                    kinds[position].indexes.insert(citation.cited)
                } else {
                    kinds.append((kind, [citation.cited]))
                }
            }
        }
        let sorted = kinds.map { ($0.words, $0.indexes.sorted()) }.sorted { one, other in
            one.1[0] == other.1[0]
                ? one.0.english.utf8.lexicographicallyPrecedes(other.0.english.utf8) : one.1[0] < other.1[0]
        }
        let told = sorted.map { kind, indexes in
            let records = RecordRuns(indexes).words
            return Words("\(kind.english): \(records.english)", "\(kind.chinese)：\(records.chinese)")
        }
        return (kinds.reduce(into: []) { $0.formUnion($1.indexes) }, told)
    }

    /// Records up to the checkpoint that are neither here nor cited here: those before the newest here, and later ones.
    private func uncited(_ cited: Set<UInt64>, newest: UInt64, size: UInt64) -> (earlier: RecordRuns, later: RecordRuns)
    {
        var (earlier, later) = (RecordRuns(), RecordRuns())
        var next: UInt64 = 0
        for index in (entries.map(\.entry.index) + cited).sorted() + [size] {
            if index > next {
                if next < newest { earlier.append(next...index - 1) } else { later.append(next...index - 1) }
            }
            next = max(next, index + 1)
        }
        return (earlier, later)
    }

    /// What signatures name and is not there: unmarked, they look better than those whose records can be read.
    private mutating func tellSignatureRecords(_ cited: Set<UInt64>) {
        let items = entries.map(\.entry).filter { $0.type == "contract.signed" }.compactMap { entry -> Words? in
            let absent = ["identity", "certificate"].compactMap { field -> Words? in
                let own = entry.citations.first { $0.field.utf8.elementsEqual(field.utf8) }
                guard let own, own.cited < entry.index, cited.contains(own.cited) else { return nil }
                let name = Words(citedAs: field, in: entry)
                return Words("the \(name.english) (record \(own.cited))", "\(name.chinese)（第 \(own.cited) 项记录）")
            }
            guard !absent.isEmpty else { return nil }
            let list = Words(list: absent, separators: (" and ", "和"))
            return Words("of record \(entry.index) \(list.english)", "第 \(entry.index) 项记录的\(list.chinese)")
        }
        guard !items.isEmpty else { return }
        let (list, both) = (Words(list: items), BundleVerifier.askBoth)
        tell(
            .signatures,
            "What signatures rest on: \(list.english). \(both.english)",
            "签署所依据的：\(list.chinese)。\(both.chinese)"
        )
    }

    /// Parties of a contract of whom nothing here says that they signed it, or declined.
    private mutating func tellParties() {
        var acted: [StreamID: Set<StreamID>] = [:]
        for entry in entries.map(\.entry) where entry.type == "contract.signed" || entry.type == "contract.declined" {
            for contract in entry.streams(of: .contract) {
                acted[contract, default: []].formUnion(entry.streams(of: .subject))
            }
        }
        let items = entries.map(\.entry).filter { $0.type == "contract.created" }.compactMap { entry -> Words? in
            let parties = Set(BundlePeople.listed(entry))
            let known = entry.streams(of: .contract).reduce(into: Set<StreamID>()) { $0.formUnion(acted[$1] ?? []) }
            let count = parties.subtracting(known).count
            guard count > 0 else { return nil }
            return Words(
                "of \(count) of the \(parties.count) parties that record \(entry.index) lists",
                "第 \(entry.index) 项记录所列 \(parties.count) 名当事人中的 \(count) 名"
            )
        }
        guard !items.isEmpty else { return }
        let list = Words(list: items)
        tell(
            .parties,
            "Signatures or refusals of parties: \(list.english). If there are records of them, ask whoever filed this bundle, and the "
                + "ledger operator.",
            "当事人的签署或拒绝：\(list.chinese)。如有此类记录，可要求举证方补充提交，亦可向账本运营方调取。"
        )
    }

    /// Parties and signatories of whom no record here discloses a name.
    private mutating func tellNames() {
        var people: Set<StreamID> = []
        var named: Set<StreamID> = []
        for entry in entries.map(\.entry) {
            if entry.type == "contract.created" { people.formUnion(BundlePeople.listed(entry)) }
            if entry.type == "contract.signed" { people.formUnion(entry.streams(of: .subject)) }
            for scope in entry.claims
            where scope.claims.contains(where: { claim in
                ["name", "organisation_name"].contains { $0.utf8.elementsEqual(claim.name.utf8) }
                    && opened[entry.index]?[claim.name] != nil
            }) { named.insert(scope.scope) }
        }
        let count = people.subtracting(named).count
        guard count > 0 else { return }
        let both = BundleVerifier.askBoth
        tell(
            .names,
            "Names of \(count) of the \(people.count) parties and signatories, which nothing here discloses. \(both.english)",
            "当事人及签署人共 \(people.count) 名，其中 \(count) 名的姓名或名称此处未披露。\(both.chinese)"
        )
    }

    /// Documents whose digests are recorded, and of which no file is there.
    private mutating func tellFiles(_ manifest: Manifest) {
        let inside = Set(manifest.originals.map(\.index))
        let digests = Set(inside.compactMap { digest($0) })
        let without = entries.map(\.entry).filter { entry in
            guard entry.hasDigestOfDocument, !inside.contains(entry.index) else { return false }
            return digest(entry.index).map { !digests.contains($0) } ?? true
        }
        guard !without.isEmpty else { return }
        let (records, systems) = (RecordRuns(without.map(\.index)).words, BundleVerifier.systems(without))
        tell(
            .files,
            "Files of the documents whose digests are in \(records.english). Ask whoever filed this bundle, the parties, and whoever "
                + "runs the systems named: \(systems.english).",
            "\(records.chinese)载有其哈希值的文件本身。可要求举证方补充提交，亦可向当事人及账本所载提交系统（\(systems.chinese)）的运营单位调取。"
        )
    }

    /// The SHA-256 of a document as a record's opening discloses it.
    private func digest(_ index: UInt64) -> [UInt8]? { opened[index]?["sha256"]?.value.string.map { Array($0.utf8) } }

    private mutating func tellValues() {
        let withheld = entries.map { read in
            let names = read.entry.claims.flatMap(\.claims).map(\.name)
            return (read.entry.index, names.filter { opened[read.entry.index]?[$0] == nil }.count)
        }.filter { $0.1 > 0 }
        guard !withheld.isEmpty else { return }
        let (records, both) = (RecordRuns(withheld.map(\.0)).words, BundleVerifier.askBoth)
        let count = withheld.reduce(0) { $0 + $1.1 }
        tell(
            .values,
            "Values withheld, of which only salted hashes are here: \(count), in \(records.english). \(both.english)",
            "未披露、仅有加盐哈希值的内容：共 \(count) 项，见\(records.chinese)。\(both.chinese)"
        )
    }

    private mutating func tellOwnSignatures() {
        let signings = entries.map(\.entry).filter { $0.type == "contract.signed" }
        guard !signings.isEmpty else { return }
        let (records, systems) = (RecordRuns(signings.map(\.index)).words, BundleVerifier.systems(signings))
        tell(
            .own,
            "The electronic signatures and certificates themselves, of the signatures in \(records.english): records have at most "
                + "their digests. Ask the parties, whoever runs the systems named (\(systems.english)), and the certificate authorities.",
            "\(records.chinese)所载签署的电子签名及其证书本身：记录中至多载有其哈希值。可向当事人、账本所载提交系统（\(systems.chinese)）的"
                + "运营单位及电子认证服务机构调取。"
        )
    }

    private mutating func tellRest(_ manifest: Manifest) {
        if case let untold = RecordRuns(untoldOfTheClock), !untold.runs.isEmpty {
            tell(
                .clock,
                "Reports on the clock of the ledger before \(untold.words.english). Ask the ledger operator.",
                "\(untold.words.chinese)之前的账本时钟报告。可向账本运营方调取。"
            )
        }
        if manifest.consistency.isEmpty {
            tell(
                .older,
                "An older checkpoint to compare with: without one nothing here shows whether the ledger was rewritten before this one was "
                    + "signed. Ask others who keep older checkpoints or receipts: parties, witnesses.",
                "可资比对的较早账本签名快照：未附，无从核验账本在数字签名之前是否改写。可向留存较早快照或回执的他人（当事人、见证方）索取。"
            )
        }
        tell(
            .key,
            "The key of the ledger operator from outside this bundle: the one in it cannot confirm itself. Ask the ledger operator, by a "
                + "way of its own.",
            "证据包以外途径取得的账本运营方密钥：包内密钥不能自证。请通过独立途径向账本运营方索取。"
        )
        tell(
            .format,
            "The format document (ledger-format.md), with all rules of these checks. Ask whoever made this bundle, and the ledger "
                + "operator.",
            "载有全部核验规则的格式文档（ledger-format.md）。可向证据包制作方或账本运营方索取。"
        )
    }

    /// Records of systems before the first here that says anything of the clock.
    var untoldOfTheClock: [UInt64] {
        entries.map(\.entry).prefix { $0.type != "system.clock_status" }
            .filter { EventCatalogue.type(named: $0.type)?.isReserved == false }.map(\.index)
    }

    private static func systems(_ entries: [Entry]) -> Words {
        let names = Set(entries.map { Array($0.submitter.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
            .map { String(decoding: $0, as: UTF8.self) }
        return Words(list: names.map { Words($0, $0) }, most: 5, separators: (", ", "、"))
    }

    /// Which document each signature is of, by the digests that are disclosed: that of a deposit, or of a contract.
    mutating func tellSignedDocuments() {
        var known: [[UInt8]: [Entry]] = [:]
        for entry in entries.map(\.entry) where BundleVerifier.documents[entry.type] != nil {
            if let digest = digest(entry.index) { known[digest, default: []].append(entry) }
        }
        for entry in entries.map(\.entry) where entry.type == "contract.signed" {
            guard let digest = digest(entry.index) else {
                report.signedDocuments.append(
                    Words(
                        "record \(entry.index): the digest of the document signed is withheld; nothing here shows which it is",
                        "第 \(entry.index) 项记录：所签文件的哈希值未在此披露，不能认定为何文件"
                    )
                )
                continue
            }
            let begins = String(decoding: digest.prefix(12), as: UTF8.self)
            let found = known[digest] ?? []
            let list = Words(list: found.map { document($0) }, most: 5, separators: (", ", "、"))
            let isDeposited = found.contains { $0.type == "evidence.deposited" }
            report.signedDocuments.append(
                Words(
                    "record \(entry.index): the document signed has SHA-256 \(begins)…"
                        + (found.isEmpty ? "" : ", that of \(list.english)")
                        + (isDeposited ? "" : "; no deposit here discloses it"),
                    "第 \(entry.index) 项记录：所签文件的 SHA-256 为 \(begins)…" + (found.isEmpty ? "" : "，与\(list.chinese)相同")
                        + (isDeposited ? "" : "；此处没有存证披露此哈希值")
                )
            )
        }
    }

    /// What a document stands in: type → what it is called.
    private static let documents = [
        "evidence.deposited": Words("deposit", "存证"), "contract.created": Words("contract", "合同"),
    ]

    /// A deposit or a contract, with the name of its file as the opening spells it, and the member that is the file.
    private func document(_ entry: Entry) -> Words {
        let what = BundleVerifier.documents[entry.type] ?? Words("record", "记录")
        let value = opened[entry.index]?["file_name"]?.value
        let name = value.map { String(decoding: $0.canonicalBytes, as: UTF8.self) }
        let inside = report.manifest?.originals.filter { $0.index == entry.index }.map(\.name) ?? []
        let known = (name.map { [$0] } ?? []) + inside
        return Words(
            "the \(what.english) in record \(entry.index)"
                + (known.isEmpty ? "" : " (\(known.joined(separator: ", ")))"),
            "第 \(entry.index) 项记录的\(what.chinese)" + (known.isEmpty ? "" : "（\(known.joined(separator: "，"))）")
        )
    }
}

extension Entry {
    /// Whether it records the digest of a document, disclosed or not.
    fileprivate var hasDigestOfDocument: Bool {
        claims.contains { $0.claims.contains { $0.name.utf8.elementsEqual("sha256".utf8) } }
    }
}
