import JSON

/// The results, a row each, printed as they come.
struct Table {
    private let json: Bool
    private static let widths = [9, 40, 24, 34, 8, 24]

    init(json: Bool) {
        self.json = json
        if !json { print(Table.line(["ENTRIES", "WHAT", "FIGURE", "RAW BASELINE", "RATIO", "TARGET"])) }
    }

    func add(_ size: Int, _ what: String, _ value: String, raw: String = "", ratio: Double? = nil, target: String = "")
    {
        let ratio = ratio.map { figure($0) } ?? ""
        if json {
            let row = JSONValue.members([
                "entries": .int(Int64(size)), "figure": .string(value), "ratio": .string(ratio), "raw": .string(raw),
                "target": .string(target), "what": .string(what),
            ])
            print(String(decoding: row.canonicalBytes, as: UTF8.self))
        } else {
            print(Table.line([figure(Double(size)), what, value, raw, ratio, target]))
        }
    }

    func end() {
        if !json { print("\nNothing here is asserted: the ratios, not the figures, travel from machine to machine.") }
    }

    private static func line(_ cells: [String]) -> String {
        var line = ""
        for (cell, width) in zip(cells, widths) {
            line += cell + String(repeating: " ", count: max(1, width - cell.count + 1))
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
