import JSON
import LedgerFormat
import Merkle

/// An entry as people read it. Claims show their names only: the values are not in the entry.
enum EntryText {
    static let header = ["INDEX", "TIME", "TYPE", "SUBMITTER", "STREAMS"]

    /// The entry as a row of a list.
    static func row(_ recorded: RecordedEntry) -> [String] {
        let entry = recorded.entry
        let streams = entry.streams.map { "\($0.stream)#\($0.number)" }.joined(separator: " ")
        return [String(entry.index), entry.time.description, entry.type, entry.submitter, streams]
    }

    /// The whole entry, a line for each of its parts.
    static func print(_ recorded: RecordedEntry) {
        let entry = recorded.entry
        var table = Table()
        table.add(["index", String(entry.index)])
        table.add(["time", entry.time.description])
        let summary = EventCatalogue.type(named: entry.type).map { " (\($0.summary))" } ?? ""
        table.add(["type", entry.type + summary])
        table.add(["actor", entry.actor.description])
        table.add(["submitter", entry.submitter])
        table.add(["request", entry.request.description])
        for stream in entry.streams { table.add(["stream", "\(stream.stream), number \(stream.number)"]) }
        for member in entry.body.values { table.add(["body.\(member.name)", plain(member.value)]) }
        for scope in entry.claims {
            for claim in scope.claims { table.add(["claim.\(claim.name)", "sealed under \(scope.scope)"]) }
        }
        table.add(["prev", entry.previous.base64])
        table.add(["leaf", recorded.leaf.base64])
        table.print()
    }

    /// Strings bare, everything else as JSON.
    static func plain(_ value: JSONValue) -> String {
        value.string ?? String(decoding: value.canonicalBytes, as: UTF8.self)
    }
}
