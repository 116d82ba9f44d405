/// Lays a section out as a table: a row for each figure, two columns for each size, and how the figure grew.
struct ReportTable {
    private static let whatWidth = 36
    private static let unitWidth = 9
    private static let targetWidth = 17
    private static let figureWidth = 12
    private static let ratioWidth = 8
    private let section: Report.Section
    private let sizes: [Int]

    init(_ section: Report.Section, sizes: [Int]) {
        self.section = section
        self.sizes = sizes
    }

    func text(isMarkdown: Bool) -> String {
        isMarkdown ? markdown() : plain()
    }

    private var hasGrowth: Bool { sizes.count > 1 }
    private var hasRatios: Bool { section.rows.contains { section.any($0)?.raw != nil } }
    private var hasTargets: Bool { section.rows.contains { section.any($0)?.target != nil } }

    /// The cells of a row, marks in place: what, unit, target, then figure and ratio for each size, growth.
    private func cells(_ row: String) -> [String] {
        let any = section.any(row)
        var cells = [row, any?.unit ?? ""]
        if hasTargets { cells.append(any?.target?.text ?? "") }
        for size in sizes {
            let cell = section.cell(row, size)
            let missed = cell?.isMet == false
            let isOfRatio = cell?.target?.isOfRatio == true
            cells.append(cell.map { ReportTable.marked($0.figure, missed && !isOfRatio) } ?? "")
            if hasRatios { cells.append(cell?.ratio.map { ReportTable.marked($0, missed && isOfRatio) } ?? "") }
        }
        if hasGrowth { cells.append(growth(row)) }
        return cells
    }

    private func growth(_ row: String) -> String {
        guard let smallest = sizes.min(), let largest = sizes.max(), let before = section.cell(row, smallest),
            let after = section.cell(row, largest), before.better != .neither, before.figure > 0
        else { return "" }
        let growth = after.figure / before.figure
        return ReportTable.marked(growth, after.breaksGrowthLimit(growth))
    }

    private static func marked(_ value: Double, _ isMissed: Bool) -> String {
        Figure.text(value) + (isMissed ? "!" : " ")
    }

    private var header: [String] {
        var header = ["WHAT", "UNIT"]
        if hasTargets { header.append("TARGET") }
        for _ in sizes { header += hasRatios ? ["FIGURE ", "RATIO "] : ["FIGURE "] }
        if hasGrowth { header.append("GROWTH ") }
        return header
    }

    private var leftColumns: Int { hasTargets ? 3 : 2 }

    private func plain() -> String {
        var widths = [ReportTable.whatWidth, ReportTable.unitWidth]
        if hasTargets { widths.append(ReportTable.targetWidth) }
        for _ in sizes {
            widths += hasRatios ? [ReportTable.figureWidth, ReportTable.ratioWidth] : [ReportTable.figureWidth]
        }
        if hasGrowth { widths.append(ReportTable.ratioWidth) }
        let sizeWidth = ReportTable.figureWidth + (hasRatios ? ReportTable.ratioWidth + 1 : 0)
        let left = widths.prefix(leftColumns).reduce(0) { $0 + $1 + 1 }
        var top = ReportTable.pad(section.title, left - 1)
        for size in sizes { top += " " + ReportTable.pad(ReportTable.sizeName(size), sizeWidth, isRight: true) }
        let lines = [header] + section.rows.map { cells($0) }
        let texts = lines.map { line in
            zip(line, widths).enumerated().map { position, cell in
                ReportTable.pad(cell.0, cell.1, isRight: position >= leftColumns)
            }.joined(separator: " ")
        }
        return ([top] + texts).map { ReportTable.trimmed($0) }.joined(separator: "\n")
    }

    private func markdown() -> String {
        var titles = header.map { ReportTable.trimmed($0).lowercased() }
        titles[0] = section.title.lowercased()
        var column = leftColumns
        for size in sizes {
            titles[column] = ReportTable.trimmed(ReportTable.sizeName(size))
            column += hasRatios ? 2 : 1
        }
        let rule = titles.indices.map { $0 < leftColumns ? "---" : "---:" }
        let rows = section.rows.map { row in
            cells(row).map { ReportTable.trimmed($0).replacingIndent() }
        }
        return ([titles, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }

    private static func sizeName(_ size: Int) -> String { "\(Figure.grouped(size)) entries " }

    private static func pad(_ text: String, _ width: Int, isRight: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return isRight ? blanks + text : text + blanks
    }

    private static func trimmed(_ text: String) -> String {
        var text = text
        while text.last == " " { text.removeLast() }
        return text
    }
}

extension String {
    /// Blanks in front, which Markdown would drop, as an ellipsis.
    fileprivate func replacingIndent() -> String { hasPrefix("  ") ? "… " + dropFirst(2) : self }
}
