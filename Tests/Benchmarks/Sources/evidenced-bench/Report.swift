import JSON

/// All that was measured, by row and size. Says each figure as it comes; the tables come at the end.
final class Report {
    enum Form { case table, markdown, jsonLines }

    /// One of the two tables: rows in the order of their first figure.
    final class Section {
        let title: String
        private(set) var rows: [String] = []
        private var cells: [String: [Int: Measurement]] = [:]

        init(_ title: String) { self.title = title }

        func add(_ size: Int, _ measurement: Measurement) {
            if cells[measurement.what] == nil { rows.append(measurement.what) }
            cells[measurement.what, default: [:]][size] = measurement
        }

        func cell(_ row: String, _ size: Int) -> Measurement? { cells[row]?[size] }
        func any(_ row: String) -> Measurement? { cells[row]?.values.first }
    }

    let measurements = Section("MEASUREMENTS")
    let baselines = Section("RAW BASELINES")
    let sizes: [Int]
    private let form: Form
    private let isTalking: Bool
    private let begin = Stopwatch.now
    private var notes: [String] = []

    /// - Parameter isTalking: whether each figure is said on standard error as it comes.
    init(sizes: [Int], form: Form, isTalking: Bool) {
        self.sizes = sizes
        self.form = form
        self.isTalking = isTalking
    }

    func add(_ size: Int, _ measurement: Measurement) {
        measurements.add(size, measurement)
        tell(size, measurement, isBaseline: false)
    }

    func addBaseline(_ size: Int, _ measurement: Measurement) {
        baselines.add(size, measurement)
        tell(size, measurement, isBaseline: true)
    }

    /// A remark for below the tables.
    func note(_ text: String) {
        if !notes.contains(text) { notes.append(text) }
    }

    /// Says what is going on.
    func progress(_ text: String) {
        if isTalking { Console.remark("[\(Figure.duration(Stopwatch.seconds(since: begin)))] \(text)") }
    }

    private func tell(_ size: Int, _ measurement: Measurement, isBaseline: Bool) {
        var line = "\(Figure.grouped(size)) entries: \(measurement.what.drop { $0 == " " }) "
        line += "\(Figure.text(measurement.figure)) \(measurement.unit)"
        if let raw = measurement.raw, let ratio = measurement.ratio { line += ", \(Figure.text(ratio)) x \(raw.name)" }
        progress((isBaseline ? "raw, " : "") + line)
        if form == .jsonLines { Console.print(Report.json(size, measurement, isBaseline: isBaseline)) }
    }

    private static func json(_ size: Int, _ measurement: Measurement, isBaseline: Bool) -> String {
        var writer = JSONWriter()
        func number(_ name: String, _ value: Double) {
            writer.name(name)
            if value.isFinite { writer.raw("\(value)".utf8) } else { writer.null() }
        }
        func text(_ name: String, _ value: String) {
            writer.name(name)
            writer.string(value)
        }
        writer.beginObject()
        writer.name("entries")
        writer.int(Int64(size))
        number("figure", measurement.figure)
        if isBaseline {
            writer.name("isBaseline")
            writer.bool(true)
        }
        if let met = measurement.isMet {
            writer.name("met")
            writer.bool(met)
        }
        if let raw = measurement.raw, let ratio = measurement.ratio {
            number("ratio", ratio)
            number("raw", raw.value)
            text("rawIs", raw.name)
        }
        if let target = measurement.target { text("target", target.text) }
        text("unit", measurement.unit)
        text("what", String(measurement.what))
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Prints the tables and what has to be said about them.
    func end() {
        let took = "The run took \(Figure.duration(Stopwatch.seconds(since: begin)))."
        guard form != .jsonLines else { return progress(took) }
        for section in [measurements, baselines] {
            Console.print(ReportTable(section, sizes: sizes).text(isMarkdown: form == .markdown) + "\n")
        }
        Console.print("RATIO is the figure against another of the same run:")
        var told: Set<String> = []
        for row in measurements.rows {
            guard let raw = measurements.any(row)?.raw, told.insert(raw.name).inserted else { continue }
            Console.print("- \(row.drop { $0 == " " }): \(raw.name)")
        }
        if sizes.count > 1 { Console.print("GROWTH is the largest ledger's figure against the smallest one's.") }
        Console.print(
            "! marks what misses its target, or gets worse by more than a fifth in a larger ledger where it must not."
        )
        Console.print("Nothing here is asserted: the ratios, not the figures, travel from machine to machine.")
        for note in notes { Console.print(note) }
        Console.print(took)
    }
}
