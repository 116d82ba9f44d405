import Glibc
import JSON
import Merkle
import Paths

/// Where the program writes for people.
enum Terminal {
    /// Whether somebody watches stderr.
    static let isWatched = isatty(STDERR_FILENO) == 1

    /// One line on stderr.
    static func complain(_ message: String) { toStandardError("evidence: \(printable(message))\n") }

    /// A remark on stderr for whoever watches; nothing in pipes.
    static func remark(_ message: String) {
        if isWatched { complain(message) }
    }

    static func toStandardError(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(STDERR_FILENO, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            // Nowhere is left to complain to.
            guard count > 0 else { return }
            done += count
        }
    }

    /// The text with control and formatting characters written out, so that no file or entry can move the cursor, hide
    /// a line or forge one.
    static func printable(_ text: String) -> String {
        var printable = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                printable += "\\u{\(String(scalar.value, radix: 16))}"
            default: printable.unicodeScalars.append(scalar)
            }
        }
        return printable
    }

    /// A path as members of JSON: as text, and, where it is not UTF-8, its bytes in base64 as well. None for no path.
    static func members(_ name: String, _ path: FilePath?) -> [JSONMember] {
        guard let path else { return [] }
        let shown = JSONMember(name: name, value: .string(path.description))
        guard path.text == nil else { return [shown] }
        return [shown, JSONMember(name: name + "Base64", value: .string(Base64.encode(path.bytes)))]
    }

    static func print(json value: JSONValue) { Swift.print(String(decoding: value.canonicalBytes, as: UTF8.self)) }
}

/// Rows in aligned columns, the last of which is as long as it likes.
struct Table {
    private let header: [String]?
    private let numeric: Set<Int>
    private var rows: [[String]] = []

    /// - Parameter numeric: columns that are aligned to the right.
    init(header: [String]? = nil, numeric: Set<Int> = []) {
        self.header = header
        self.numeric = numeric
    }

    mutating func add(_ row: [String]) { rows.append(row.map { Terminal.printable($0) }) }

    /// Prints the table; nothing, not even the header, where it has no rows.
    func print() {
        guard !rows.isEmpty else { return }
        let lines = (header.map { [$0] } ?? []) + rows
        var widths: [Int] = []
        for line in lines {
            for (column, cell) in line.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        for line in lines {
            var text = ""
            for (column, cell) in line.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if numeric.contains(column) {
                    text += padding + cell
                } else {
                    text += column == line.count - 1 ? cell : cell + padding
                }
                if column < line.count - 1 { text += "  " }
            }
            Swift.print(text)
        }
    }
}
