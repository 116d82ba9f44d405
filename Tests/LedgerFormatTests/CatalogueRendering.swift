import LedgerFormat

/// The event catalogue as it stands in `ledger-format.md`.
enum CatalogueRendering {
    /// One section for each domain, with a table of its types and their fields.
    static var markdown: String {
        var lines = [
            "",
            "The row of a type names the kinds of stream it requires and its meaning, for a court also in Chinese. The",
            "rows below it are its fields: where the field stands, and its rule. Fields are required where nothing else",
            "is said.",
        ]
        var domain = ""
        for type in EventCatalogue.all {
            if type.domain != domain {
                domain = type.domain
                lines += ["", "#### `\(domain)`", "", "| type or field | streams or place | meaning or rule |"]
                lines.append("| --- | --- | --- |")
            }
            let streams = type.requiredStreams.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            lines.append("| **`\(type.name)`** | \(streams) | \(type.summary) (\(type.summaryZH)) |")
            for (place, fields) in [("body", type.body), ("claim", type.claims)] {
                for field in fields {
                    let need = field.required ? "" : ", optional"
                    lines.append("| `\(field.name)` | \(place)\(need) | \(rule(field.rule)) |")
                }
            }
        }
        return lines.map { $0 + "\n" }.joined() + "\n"
    }

    /// A rule in the words of the document's table of rules.
    private static func rule(_ rule: FieldRule) -> String {
        func list(_ words: [String]) -> String { words.map { "`\($0)`" }.joined(separator: ", ") }
        return switch rule {
        case .code(let words): "code: \(list(words))"
        case .codes(let words): "codes: \(list(words))"
        case .pattern(let pattern): CatalogueRendering.pattern(pattern)
        case .integer(let range): "integer(\(range.lowerBound)…\(range.upperBound))"
        case .boolean: "boolean"
        case .time: "time"
        case .index: "index"
        case .indexes: "indexes"
        case .id: "id"
        case .streamList: "streams"
        case .digest: "digest"
        case .hash: "hash"
        case .signature: "signature"
        case .text(let bytes): "text(\(bytes))"
        }
    }

    private static func pattern(_ pattern: TextPattern) -> String {
        switch pattern {
        case .word(let bytes): "word(\(bytes))"
        case .version: "version"
        case .language: "language"
        case .country: "country"
        case .currency: "currency"
        case .mediaType: "media type"
        case .origin(let bytes): "origin(\(bytes))"
        case .verificationKey: "vkey"
        case .host: "host"
        case .hex(let count): "hex(\(count.lowerBound)…\(count.upperBound))"
        }
    }
}
