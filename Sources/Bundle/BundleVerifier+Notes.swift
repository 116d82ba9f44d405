import JSON
import LedgerFormat

/// What a reader has to know beside the verdict (`ledger-format.md` section 14, "Beside the verdict"): a ledger records
/// what it is told, and a citation that holds nothing, or a clock nobody set, is no damage to it.
extension BundleVerifier {
    /// Marks citations that don't hold, and lists the records that are cited and not there.
    mutating func tellCitations() {
        let byIndex = Dictionary(entries.map { ($0.entry.index, $0.entry) }) { first, _ in first }
        var absent: Set<UInt64> = []
        var (count, marked) = (0, 0)
        for read in entries {
            for citation in read.entry.citations {
                count += 1
                let other = byIndex[citation.cited]
                if let fault = citation.fault(in: read.entry, citing: other) {
                    marked += 1
                    guard marked <= BundleReport.maximumFailures else { continue }
                    note(.citations, .noted, read.member, words(citation, fault))
                } else if citation.isOfEntry, other == nil {
                    absent.insert(citation.cited)
                }
            }
        }
        if marked == 0 { note(.citations, .passed, nil, Words(count: count, "citation", "citations", "处引用")) }
        guard !absent.isEmpty else { return note(.cited, .passed, nil, nil) }
        let list = absent.sorted().prefix(BundleReport.maximumFailures).map(String.init)
        let more = absent.count > list.count
        note(
            .cited,
            .noted,
            nil,
            Words(
                "not in the bundle: \(list.joined(separator: ", "))\(more ? " and others" : "")",
                "不在本证据包中：\(list.joined(separator: "、"))\(more ? " 等" : "")"
            )
        )
    }

    private func words(_ citation: Citation, _ fault: CitationFault) -> Words {
        let (field, cited) = (citation.field, citation.cited)
        switch fault {
        case .notThere where !citation.isOfEntry:
            return Words("\(field): the ledger had no \(cited) records yet", "\(field)：当时账本尚无 \(cited) 项记录")
        case .notThere:
            return Words("\(field): record \(cited) did not exist yet", "\(field)：所引用的第 \(cited) 项记录当时尚不存在")
        case .otherType(let name):
            let type = EventCatalogue.type(named: name)
            return Words(
                "\(field): record \(cited) is of another kind: \(type?.summary ?? name)",
                "\(field)：第 \(cited) 项记录的类型不符：\(type?.summaryZH ?? name)"
            )
        case .otherStream(.subject):
            return Words("\(field): record \(cited) is of another person", "\(field)：第 \(cited) 项记录属于另一主体")
        case .otherStream(let kind):
            return Words("\(field): record \(cited) is of another \(kind.rawValue)", "\(field)：第 \(cited) 项记录不属于同一事项")
        }
    }

    /// Tells which of the recorded times the ledger's own records doubt.
    mutating func tellClock() {
        var doubts = 0
        var isKnown = false
        // Of the ledger's own records no one asks: the first of them are before any that could say so.
        var untold: [UInt64] = []
        for read in entries {
            let entry = read.entry
            let body = JSONValue.object(entry.body.values)
            let vouched = Confirmation(rawValue: body["confirmed"]?.string ?? "")?.words ?? Words("", "")
            if !isKnown, EventCatalogue.type(named: entry.type)?.isReserved == false { untold.append(entry.index) }
            if entry.type == "system.clock_status" {
                isKnown = true
                guard case .bool(false)? = body["synchronized"] else { continue }
                doubts += 1
                tellClock(
                    read,
                    doubts,
                    Words("not synchronised from here on\(vouched.english)", "自此记录起未经时钟同步\(vouched.chinese)")
                )
            } else if entry.type == "system.clock_jumped" {
                doubts += 1
                let seconds = (body["microseconds"]?.int ?? 0) / 1_000_000
                tellClock(
                    read,
                    doubts,
                    Words(
                        "it jumped by \(seconds) seconds\(vouched.english)",
                        "时钟跳变 \(seconds) 秒\(vouched.chinese)"
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
