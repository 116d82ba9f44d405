import JSON
public import Merkle

/// The entries a call's events will make, written as far as that can be done before anybody knows their place in the
/// ledger: what is left to be filled in are index, hash of the entry before, numbers and time.
public struct EntryDrafts: Sendable {
    /// The parts between what is filled in, entry after entry.
    private var text: [UInt8] = []
    /// Where each part ends.
    private var ends: [Int] = []
    /// Where each entry's parts begin in `ends`.
    private var starts: [Int] = []

    /// - Parameters:
    ///   - events: each makes an entry.
    ///   - submitter: the principal they come from.
    ///   - commitments: to all claims, in the order of events, scopes and claims.
    public init(_ events: Submissions, submitter: String, commitments: [Digest]) {
        text.reserveCapacity(events.text.count + 512 * events.count)
        starts.reserveCapacity(events.count)
        ends.reserveCapacity(events.streams.count + 3 * events.count)
        var next = 0
        for event in events.events {
            starts.append(ends.count)
            Entry.appendBeforeIndex(event.actor, body: events.text[event.body.text], &text) { text in
                for scope in event.scopes {
                    Entry.open(events.scopes[scope].scope, isFirst: scope == event.scopes.lowerBound, &text)
                    let claims = events.scopes[scope].claims.members
                    for claim in claims {
                        if claim > claims.lowerBound { text.append(UInt8(ascii: ",")) }
                        // The name as it stands in the canonical text, in its quotes.
                        let name = events.members[claim].name
                        text.append(contentsOf: events.text[name.lowerBound - 1..<name.upperBound + 1])
                        Entry.append(commitments[next], &text)
                        next += 1
                    }
                    text.append(UInt8(ascii: "}"))
                }
            }
            ends.append(text.count)
            Entry.appendBeforeStreams(event.request, &text)
            for stream in event.streams {
                let isFirst = stream == event.streams.lowerBound
                if !isFirst { ends.append(text.count) }
                Entry.appendBeforeNumber(events.streams[stream], isFirst: isFirst, &text)
            }
            ends.append(text.count)
            Entry.appendBeforeTime(submitter, &text)
            ends.append(text.count)
            Entry.appendAfterTime(type: event.type.name, &text)
            ends.append(text.count)
        }
    }

    /// Appends the canonical JSON of an entry.
    ///
    /// - Parameters:
    ///   - position: the event's in the call.
    ///   - previous: leaf hash of the entry before.
    ///   - numbers: the entry's number in each of its streams.
    public func append(
        _ position: Int,
        index: UInt64,
        previous: Digest,
        numbers: [UInt64],
        time: LedgerTime,
        to bytes: inout [UInt8]
    ) {
        var part = starts[position]
        var start = part == 0 ? 0 : ends[part - 1]
        func appendPart(_ bytes: inout [UInt8]) {
            bytes.append(contentsOf: text[start..<ends[part]])
            start = ends[part]
            part += 1
        }
        appendPart(&bytes)
        JSONWriter.append(Int64(index), to: &bytes)
        Entry.append(Entry.beforePrevious, &bytes)
        previous.appendBase64(to: &bytes)
        for number in numbers {
            appendPart(&bytes)
            JSONWriter.append(Int64(number), to: &bytes)
        }
        appendPart(&bytes)
        time.append(to: &bytes)
        appendPart(&bytes)
    }
}
