import JSON
import Merkle

/// Reads entries by the one form they are written in, member by member as `Entry.encode` puts them. What departs from
/// it in a single byte gives nil, and the reader of any JSON then says what is wrong.
struct EntryTemplate {
    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func read(_ bytes: [UInt8]) -> Entry? {
        guard bytes.count <= FormatLimits.entryBytes else { return nil }
        var template = EntryTemplate(bytes)
        return template.entry()
    }

    private mutating func entry() -> Entry? {
        guard take(#"{"actor":""#), let actor = text().flatMap({ Actor(utf8: bytes.span.extracting($0)) }),
            take(#","body":"#), let body = body(), take(#","claims":{"#), let claims = claims(),
            take(#","index":"#), let index = number(), take(#","prev":""#), let previous = digest(),
            take(#","request":""#), let request = text().flatMap({ RequestKey(utf8: bytes.span.extracting($0)) }),
            take(#","streams":["#), let streams = streams(), take(#","submitter":""#), let name = text(),
            take(#","time":""#), let time = text().flatMap({ LedgerTime(utf8: bytes.span.extracting($0)) }),
            take(#","type":""#), let type = text(), take(#","v":1}"#), position == bytes.count
        else { return nil }
        let submitter = string(name)
        guard SubmitterName.isValid(submitter),
            claims.allSatisfy({ scope in streams.contains { $0.stream == scope.scope } })
        else { return nil }
        return Entry(
            head: Entry.Head(index: UInt64(index), previous: previous, time: time, submitter: submitter),
            // The catalogue's own text, where there is one, needs no memory of its own.
            type: EventCatalogue.type(utf8: bytes.span.extracting(type))?.name ?? string(type),
            request: request,
            actor: actor,
            body: body,
            streams: streams,
            claims: claims
        )
    }

    // MARK: Members

    private mutating func body() -> JSONObjectText? {
        var reader = JSONReader(bytes, at: position, depth: 1)
        guard let text = try? reader.objectText(), text.bytes[...] == bytes[position..<reader.position] else {
            return nil
        }
        position = reader.position
        return text
    }

    private mutating func claims() -> [Entry.Scope]? {
        var scopes: [Entry.Scope] = []
        var count = 0
        while !take("}") {
            guard scopes.isEmpty || take(","), take(#"""#),
                let scope = text().flatMap({ StreamID(utf8: bytes.span.extracting($0)) }), take(":{"),
                scopes.last.map({ $0.scope < scope }) ?? true
            else { return nil }
            var claims: [CommittedClaim] = []
            var last: Range<Int>?
            repeat {
                guard take(#"""#), let name = text(), take(#":""#), let commitment = digest(),
                    last.map({ bytes[$0].lexicographicallyPrecedes(bytes[name]) }) ?? true,
                    !scopes.contains(where: { $0.claims.contains { $0.name.utf8.elementsEqual(bytes[name]) } })
                else { return nil }
                last = name
                claims.append(CommittedClaim(name: string(name), commitment: commitment))
            } while take(",")
            guard take("}") else { return nil }
            count += claims.count
            scopes.append(Entry.Scope(scope: scope, claims: claims))
        }
        return count <= FormatLimits.claimsPerEvent ? scopes : nil
    }

    private mutating func streams() -> [Entry.Membership]? {
        var memberships: [Entry.Membership] = []
        repeat {
            guard take(#"[""#), let stream = text().flatMap({ StreamID(utf8: bytes.span.extracting($0)) }), take(","),
                let number = number(), take("]"), memberships.last.map({ $0.stream < stream }) ?? true
            else { return nil }
            memberships.append(Entry.Membership(stream: stream, number: number))
        } while take(",")
        return take("]") && memberships.count <= FormatLimits.streamsPerEvent ? memberships : nil
    }

    // MARK: Parts

    /// Passes over bytes that must be these.
    private mutating func take(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        let isSame = text.withUTF8Buffer { text in
            for offset in 0..<count where bytes[position + offset] != text[offset] { return false }
            return true
        }
        if isSame { position += count }
        return isSame
    }

    /// Passes over ASCII text without escapes, and the quote that ends it.
    private mutating func text() -> Range<Int>? {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return start..<position - 1
            case 0..<0x20, UInt8(ascii: "\\"), 0x80...: return nil
            default: position += 1
            }
        }
        return nil
    }

    private mutating func digest() -> Digest? {
        text().flatMap { Digest(base64: bytes.span.extracting($0)) }
    }

    /// Passes over a number from 0 to 2^53 − 1.
    private mutating func number() -> Int64? {
        let start = position
        var value: Int64 = 0
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 {
            value = value * 10 + Int64(digit)
            guard value <= JSONValue.maximumInteger else { return nil }
            position += 1
        }
        let count = position - start
        return count == 1 || count > 1 && bytes[start] != UInt8(ascii: "0") ? value : nil
    }

    private func string(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}
