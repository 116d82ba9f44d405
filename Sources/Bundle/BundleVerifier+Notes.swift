import JSON
import LedgerFormat

/// What a reader has to know beside the verdict (`ledger-format.md` section 14, "Beside the verdict"): a ledger records
/// what it is told, and a citation that holds nothing, or a clock nobody set, is no damage to it.
extension BundleVerifier {
    /// Marks citations that don't hold, with whose record it is and what rests on it, says how many could be compared with
    /// what they cite, and lists the records that are cited and not there.
    mutating func tellCitations() {
        let byIndex = Dictionary(entries.map { ($0.entry.index, $0.entry) }) { first, _ in first }
        var absent: Set<UInt64> = []
        // Sizes of trees cite no record.
        var (count, compared, marked) = (0, 0, 0)
        let rests = restingOnFaults(byIndex)
        for read in entries {
            for citation in read.entry.citations {
                let other = byIndex[citation.cited]
                count += citation.isOfEntry ? 1 : 0
                compared += citation.isOfEntry && other != nil ? 1 : 0
                if let fault = citation.fault(in: read.entry, citing: other) {
                    marked += 1
                    report.misfits.append(read.entry.index)
                    if marked == 1 { report.firstMisfit = sentence(citation, of: read.entry, fault, other) }
                    guard marked <= BundleReport.maximumFailures else { continue }
                    let (whose, what) = (whose(read.entry), words(citation, of: read.entry, fault, other))
                    let rest = Words(restingOn: rests[read.entry.index] ?? [])
                    note(
                        .citations,
                        .noted,
                        read.member,
                        Words(
                            "\(whose.english): \(what.english)\(rest.english)",
                            "\(whose.chinese)：\(what.chinese)\(rest.chinese)"
                        )
                    )
                } else if citation.isOfEntry, other == nil {
                    absent.insert(citation.cited)
                }
            }
        }
        if marked == 0 { tellCompared(compared, of: count) }
        guard !absent.isEmpty else { return note(.cited, .passed, nil, nil) }
        let list = RecordRuns(absent.sorted()).words
        note(.cited, .noted, nil, Words("not in this bundle: \(list.english)", "不在本证据包中：\(list.chinese)"))
    }

    /// How much the check of citations is of, where none was found that doesn't fit.
    private mutating func tellCompared(_ compared: Int, of count: Int) {
        guard count > 0 else {
            return note(.citations, .passed, nil, Words("no record here cites another", "所含记录未引用其他记录"))
        }
        let absent = count - compared
        let all = Words(count: count, "citation", "citations", "处引用")
        guard compared > 0 else {
            return note(
                .citations,
                .unchecked,
                nil,
                Words("none of the records cited is here (\(all.english))", "被引用的记录均不在此处（\(all.chinese)）")
            )
        }
        let left =
            absent == 0
            ? ("", "")
            : (
                "; \(absent) \(absent == 1 ? "cites a record that is" : "cite records that are") not here",
                "；另有 \(absent) 处引用的记录不在此处，未核验"
            )
        note(
            .citations,
            .passed,
            nil,
            Words(
                "\(compared) of \(all.english): the record cited is here and is what it is cited as\(left.0)",
                "\(all.chinese)中的 \(compared) 处：被引用的记录在此，且与引用所称相符\(left.1)"
            )
        )
    }

    /// What is wrong with a citation, in one sentence: whose it is, and whose it names instead.
    private func sentence(_ citation: Citation, of entry: Entry, _ fault: CitationFault, _ other: Entry?) -> Words {
        let persons = [entry, other].map { each in
            each?.streams.map(\.stream).first { $0.kind == .subject }.flatMap { report.people?.words($0) }
        }
        guard case .otherStream(.subject) = fault, let own = persons[0], let others = persons[1] else {
            let what = words(citation, of: entry, fault, other)
            return Words("record \(entry.index): \(what.english)", "第 \(entry.index) 项记录：\(what.chinese)")
        }
        let field = Words(citedAs: citation.field, in: entry)
        let isSignature = entry.type.utf8.elementsEqual("contract.signed".utf8)
        return Words(
            "the \(isSignature ? "signature" : "record") of \(own.english) names as its \(field.english) that of \(others.english)",
            "\(own.chinese)的\(isSignature ? "签署" : "记录")所引用的\(field.chinese)是\(others.chinese)的"
        )
    }

    /// A record as a reader takes it: its number, what it is, and whose.
    private func whose(_ entry: Entry) -> Words {
        let type = EventCatalogue.type(named: entry.type)
        let own = entry.streams.map(\.stream).first { $0.kind == .subject }
        let person = own.flatMap { report.people?.words($0) }
        return Words(
            "record \(entry.index) (\(type?.summary ?? entry.type)\(person.map { ", \($0.english)" } ?? ""))",
            "第 \(entry.index) 项记录（\(type?.summaryZH ?? entry.type)\(person.map { "，\($0.chinese)" } ?? "")）"
        )
    }

    /// For each of the first records of which a citation does not fit, those that rest on it: they cite it, or cite one that
    /// does. No more are followed than are told: a chain of thousands would take its square of time and room.
    private func restingOnFaults(_ byIndex: [UInt64: Entry]) -> [UInt64: [UInt64]] {
        var roots: [UInt64: Set<UInt64>] = [:]
        var rests: [UInt64: [UInt64]] = [:]
        var faulty: Set<UInt64> = []
        for read in entries {
            let (entry, index) = (read.entry, read.entry.index)
            var own: Set<UInt64> = []
            for citation in entry.citations {
                let isFaulty = citation.fault(in: entry, citing: byIndex[citation.cited]) != nil
                if isFaulty, faulty.count < BundleReport.maximumFailures { faulty.insert(index) }
                guard citation.isOfEntry, citation.cited < index else { continue }
                own.formUnion(roots[citation.cited] ?? [])
                if faulty.contains(citation.cited) { own.insert(citation.cited) }
            }
            guard !own.isEmpty else { continue }
            roots[index] = own
            for root in own { rests[root, default: []].append(index) }
        }
        return rests
    }

    private func words(_ citation: Citation, of entry: Entry, _ fault: CitationFault, _ other: Entry?) -> Words {
        let (field, cited) = (Words(citedAs: citation.field, in: entry), citation.cited)
        let what: Words
        switch fault {
        case .notThere where !citation.isOfEntry:
            what = Words("the ledger had no \(cited) records yet", "当时账本尚无 \(cited) 项记录")
        case .notThere:
            what = Words("record \(cited) did not exist yet", "所引用的第 \(cited) 项记录当时尚不存在")
        case .otherType(let name):
            let type = EventCatalogue.type(named: name)
            what = Words(
                "record \(cited) is of another kind: \(type?.summary ?? name)",
                "第 \(cited) 项记录的类型不符：\(type?.summaryZH ?? name)"
            )
        case .otherStream(.subject):
            let owner = other?.streams.map(\.stream).first { $0.kind == .subject }.flatMap { report.people?.words($0) }
            what = Words(
                "record \(cited) is of another person\(owner.map { ", \($0.english)" } ?? "")",
                "第 \(cited) 项记录属于另一主体\(owner.map { "（\($0.chinese)）" } ?? "")"
            )
        case .otherStream(let kind):
            what = Words("record \(cited) is of another \(kind.rawValue)", "第 \(cited) 项记录不属于同一事项")
        }
        return Words("\(field.english): \(what.english)", "\(field.chinese)：\(what.chinese)")
    }

    /// Tells which of the recorded times the ledger's own records doubt.
    mutating func tellClock() {
        var doubts = 0
        var isKnown = false
        // Of the ledger's own records no one asks: the first of them are before any that could say so.
        let untold = untoldOfTheClock
        let set = entries.map(\.entry).filter { entry in
            guard entry.type == "system.clock_status" else { return false }
            return JSONValue.object(entry.body.values)["synchronized"] == .bool(true)
        }.map(\.index)
        for read in entries {
            let entry = read.entry
            let body = JSONValue.object(entry.body.values)
            let vouched = Confirmation(rawValue: body["confirmed"]?.string ?? "")?.words ?? Words("", "")
            if entry.type == "system.clock_status" {
                isKnown = true
                guard case .bool(false)? = body["synchronized"] else { continue }
                doubts += 1
                tellClock(
                    read,
                    doubts,
                    Words(
                        "record \(entry.index): reported not synchronised from here on\(vouched.english)"
                            + (set.first { $0 > entry.index }.map { "; record \($0) reports it synchronised" } ?? ""),
                        "第 \(entry.index) 项记录：报告自此未经时钟同步\(vouched.chinese)"
                            + (set.first { $0 > entry.index }.map { "；第 \($0) 项记录报告已同步" } ?? "")
                    )
                )
            } else if entry.type == "system.clock_jumped" {
                doubts += 1
                let seconds = (body["microseconds"]?.int ?? 0) / 1_000_000
                tellClock(
                    read,
                    doubts,
                    Words(
                        "record \(entry.index): it jumped by \(seconds) seconds\(vouched.english)",
                        "第 \(entry.index) 项记录：时钟跳变 \(seconds) 秒\(vouched.chinese)"
                    )
                )
            }
        }
        if !isKnown {
            note(.clock, .unchecked, nil, Words("no record here says so", "所含记录未载明"))
        } else if let last = untold.last {
            note(
                .clock,
                .unchecked,
                nil,
                Words(
                    "no record here says so of \(untold.count) records, the last of them record \(last)",
                    "有 \(untold.count) 项记录（最后为第 \(last) 项记录），所含记录未载明"
                )
            )
        } else if doubts == 0 {
            note(.clock, .passed, nil, nil)
        }
    }

    private mutating func tellClock(_ entry: ReadEntry, _ count: Int, _ remark: Words) {
        if count <= BundleReport.maximumFailures { note(.clock, .noted, entry.member, remark) }
    }

    /// Who vouched for a time that was not believed at once.
    private enum Confirmation: String {
        case secondLook = "second-look"
        case synchronization
        case `operator`

        var words: Words {
            switch self {
            case .secondLook: Words("; it went evenly when looked at again", "，但经再次观察走时均匀")
            case .synchronization: Words("; it was synchronised later", "，其后已同步")
            case .operator: Words("; the operator confirmed it", "，但经运营方确认")
            }
        }
    }
}

extension Words {
    /// What names a record of which a citation does not fit.
    fileprivate init(restingOn indexes: [UInt64]) {
        let list = RecordRuns(indexes).words
        self.init(
            indexes.isEmpty ? "" : "; named by, directly or not: \(list.english)",
            indexes.isEmpty ? "" : "；直接或间接载明该项的有：\(list.chinese)"
        )
    }
}
