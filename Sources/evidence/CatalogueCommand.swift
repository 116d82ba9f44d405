import ArgumentParser
import JSON
import LedgerFormat

/// `evidence catalogue`
struct CatalogueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalogue",
        abstract: "List the types of event, or the fields of one.",
        discussion: """
            The catalogue is closed: the ledger records no other types and no other fields. Body fields stand in the \
            entry for ever and never identify a person; claims may, and only their commitments are in the entry. \
            Needs no daemon.

            EXAMPLES
              evidence catalogue
              evidence catalogue consent.granted
              evidence catalogue --json

            \(ExitStatus.help)
            """
    )

    @Argument(help: ArgumentHelp("A type, or a domain such as consent.", valueName: "type"), transform: Arguments.text)
    var type: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        let types = EventCatalogue.all.filter { each in
            type.map { name in
                [each.name, each.domain].contains { $0.utf8.elementsEqual(name.utf8) }
            } ?? true
        }
        guard let first = types.first else { throw Failure(.refused, "the catalogue has no such type") }
        if output.json {
            for type in types { Terminal.print(json: CatalogueCommand.json(type)) }
        } else if types.count == 1, let type, first.name.utf8.elementsEqual(type.utf8) {
            CatalogueCommand.print(first)
        } else {
            var table = Table(header: ["TYPE", "MEANING"])
            for type in types { table.add([type.name, type.summary]) }
            table.print()
        }
    }

    private static func print(_ type: EventType) {
        Swift.print("\(type.name): \(type.summary) (\(type.summaryZH))")
        let streams = type.requiredStreams.map(\.rawValue).joined(separator: ", ")
        Swift.print("streams: at least one each of \(streams)")
        if type.isReserved { Swift.print("recorded by the daemon only") }
        for (title, fields) in [("body", type.body), ("claims", type.claims)] where !fields.isEmpty {
            Swift.print("\n\(title)")
            var table = Table()
            for field in fields {
                table.add(["  \(field.name)", field.required ? "required" : "optional", field.rule.summary])
            }
            table.print()
        }
    }

    /// The types a field may cite, none meaning any, and the kind of stream to be shared.
    private static func citation(_ rule: CitationRule) -> JSONValue {
        .members([
            "types": .array(rule.types.map { .string($0) }),
            "shares": rule.shared.map { .string($0.rawValue) } ?? .null,
        ])
    }

    private static func json(_ type: EventType) -> JSONValue {
        func list(_ fields: [Field]) -> JSONValue {
            .array(
                fields.map { field in
                    let rule = type.citations.first { $0.field.utf8.elementsEqual(field.name.utf8) }
                    return .members([
                        "name": .string(field.name), "required": .bool(field.required),
                        "rule": .string(field.rule.summary), "cites": rule.map(citation) ?? .null,
                    ])
                }
            )
        }
        return .members([
            "type": .string(type.name), "summary": .string(type.summary), "summary_zh": .string(type.summaryZH),
            "streams": .array(type.requiredStreams.map { .string($0.rawValue) }), "body": list(type.body),
            "claims": list(type.claims),
            "reserved": .bool(type.isReserved),
        ])
    }
}
