import Foundation
import JSON
import LedgerFormat
import Testing

@Suite("Citations")
struct CitationTests {
    @Test("each field that cites entries has its rule, and each rule its field and types")
    func tableIsWhole() {
        for type in EventCatalogue.all {
            let citing = type.body.filter { $0.rule == .index || $0.rule == .indexes }.map(\.name)
                .filter { !$0.hasSuffix("size") }
            #expect(type.citations.map(\.field) == citing, "\(type.name)")
            for rule in type.citations {
                for cited in rule.types { #expect(EventCatalogue.type(named: cited) != nil, "\(type.name) \(cited)") }
                guard let kind = rule.shared, kind != .subject else { continue }
                // What must be shared is a stream that both are sure to have.
                for each in [type] + rule.types.compactMap({ EventCatalogue.type(named: $0) }) {
                    #expect(each.requiredStreams.contains(kind), "\(each.name) \(kind)")
                }
            }
        }
    }

    @Test("stand in the format document with the same types and streams")
    func documentIsInStep() throws {
        let rows = try FormatDocument().text.components(
            separatedBy: "| type | field | cites | shares |\n| --- | --- | --- | --- |\n"
        )
        let lines = try #require(rows.dropFirst().first).prefix { $0 != "#" }.split(separator: "\n")
        let rendered = EventCatalogue.all.flatMap { type in
            type.citations.map { rule in
                let types = rule.types.isEmpty ? "any" : rule.types.map { "`\($0)`" }.joined(separator: ", ")
                return
                    "| `\(type.name)` | `\(rule.field)` | \(types) | \(rule.shared.map { "`\($0.rawValue)`" } ?? "–") |"
            }
        }
        #expect(Set(lines.map(String.init).filter { $0.hasPrefix("|") }) == Set(rendered))
    }
}
