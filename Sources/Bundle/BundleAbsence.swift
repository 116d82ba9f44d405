import LedgerFormat

/// A line of what is not in a bundle, and whom to ask for it (`ledger-format.md` section 14, "What is not here"). All
/// verifiers tell the same lines in the same order.
public struct BundleAbsence: Equatable, Sendable {
    /// What is not here, in the order it is told.
    public enum Kind: String, CaseIterable, Sendable {
        case later, beyond, cited, signatures, parties, names, earlier, files, values, own, clock, older, key, format
    }

    public let kind: Kind
    /// A sentence or more, with full stops.
    public let words: Words

    init(_ kind: Kind, _ english: String, _ chinese: String) {
        self.kind = kind
        words = Words(english, chinese)
    }

    /// What the lines stand under.
    public static let heading = Words("not in this bundle, and whom to ask:", "不在本证据包中的内容，以及可向何方索取：")
}

/// Numbers of records as runs that follow one another, by ascending number.
struct RecordRuns: Sendable {
    private(set) var runs: [ClosedRange<UInt64>] = []

    /// - Parameter indexes: ascending.
    init(_ indexes: [UInt64] = []) {
        for index in indexes { append(index...index) }
    }

    /// - Parameter run: begins behind those that are there.
    mutating func append(_ run: ClosedRange<UInt64>) {
        if let last = runs.last, last.upperBound + 1 >= run.lowerBound {
            runs[runs.count - 1] = last.lowerBound...max(last.upperBound, run.upperBound)
        } else {
            runs.append(run)
        }
    }

    /// As many runs, and as many items of other lists, are told.
    static let mostTold = 20

    /// "record 3", "records 3, 5–7"; 第 3、5–7 项记录.
    var words: Words {
        let shown = runs.prefix(RecordRuns.mostTold).map { run in
            run.count == 1 ? "\(run.lowerBound)" : "\(run.lowerBound)–\(run.upperBound)"
        }
        let isMore = runs.count > shown.count
        let isOne = runs.count == 1 && runs[0].count == 1
        return Words(
            "\(isOne ? "record" : "records") \(shown.joined(separator: ", "))\(isMore ? " and others" : "")",
            "第 \(shown.joined(separator: "、")) 项\(isMore ? "等" : "")记录"
        )
    }
}

extension Words {
    /// A list, of which no more than so many items are told.
    init(list items: [Words], most: Int = RecordRuns.mostTold, separators: (String, String) = ("; ", "；")) {
        let isMore = items.count > most
        self.init(
            items.prefix(most).map(\.english).joined(separator: separators.0) + (isMore ? " and others" : ""),
            items.prefix(most).map(\.chinese).joined(separator: separators.1) + (isMore ? "等" : "")
        )
    }

    /// What a citation is made for: the page's own table, of which the format document has a copy.
    init(citedAs field: String, in entry: Entry) {
        let table = PlainStory.purposes
        self = table[Array("\(entry.type).\(field)".utf8)] ?? table[Array(field.utf8)] ?? Words(field, field)
    }
}
