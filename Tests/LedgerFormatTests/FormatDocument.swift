import Foundation
import Testing

/// `ledger-format.md` at the root of the repository.
struct FormatDocument {
    static let catalogueBegin = "<!-- catalogue -->\n"
    static let catalogueEnd = "<!-- /catalogue -->\n"

    let url: URL
    let text: String

    init() throws {
        // The sources may be reached through a symbolic link, and the document lies above the place it points to.
        var directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while directory.path != "/",
            !FileManager.default.fileExists(atPath: directory.appendingPathComponent("ledger-format.md").path)
        { directory.deleteLastPathComponent() }
        url = directory.appendingPathComponent("ledger-format.md")
        text = try String(contentsOf: url, encoding: .utf8)
    }

    /// Where the text between the two catalogue markers stands.
    func catalogueRange() throws -> Range<String.Index> {
        let begin = try #require(text.range(of: FormatDocument.catalogueBegin))
        let end = try #require(text.range(of: FormatDocument.catalogueEnd))
        try #require(begin.upperBound <= end.lowerBound)
        return begin.upperBound..<end.lowerBound
    }

    /// The lines of the section with this heading, up to the next heading of its level.
    func section(_ heading: String) throws -> [String] {
        let lines = text.components(separatedBy: "\n")
        let start = try #require(lines.firstIndex(of: heading), "no section \(heading)")
        return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("## ") })
    }
}
