import JSON
public import Merkle

extension Entry {
    /// What the ledger adds to a submission, but for stream numbers and commitments.
    public struct Head: Sendable {
        public let index: UInt64
        /// Leaf hash of the entry before.
        public let previous: Digest
        public let time: LedgerTime
        public let submitter: String

        public init(index: UInt64, previous: Digest, time: LedgerTime, submitter: String) {
            self.index = index
            self.previous = previous
            self.time = time
            self.submitter = submitter
        }
    }

    // The one template of an entry: its eleven members in canonical order, in the parts that lie between what an entry's
    // place in the ledger gives it: index, hash of the entry before, numbers, time.

    /// Up to the index.
    ///
    /// - Parameters:
    ///   - body: canonical JSON.
    ///   - claims: appends the members of the object of commitments.
    static func appendBeforeIndex(
        _ actor: Actor,
        body: some Collection<UInt8>,
        _ bytes: inout [UInt8],
        claims: (inout [UInt8]) -> Void
    ) {
        append(#"{"actor":""#, &bytes)
        actor.append(to: &bytes)
        append(#"","body":"#, &bytes)
        bytes.append(contentsOf: body)
        append(#","claims":{"#, &bytes)
        claims(&bytes)
        append(#"},"index":"#, &bytes)
    }

    /// Between the index and the hash of the entry before.
    static let beforePrevious: StaticString = #","prev":""#

    /// Between the hash of the entry before and the streams.
    static func appendBeforeStreams(_ request: RequestKey, _ bytes: inout [UInt8]) {
        append(#"","request":""#, &bytes)
        request.append(to: &bytes)
        append(#"","streams":["#, &bytes)
    }

    /// From behind the number of the stream before, where there is one, to the number in this one.
    static func appendBeforeNumber(_ stream: StreamID, isFirst: Bool, _ bytes: inout [UInt8]) {
        append(isFirst ? #"[""# : #"],[""#, &bytes)
        stream.append(to: &bytes)
        append(#"","#, &bytes)
    }

    /// From behind the number in the last stream to the time.
    static func appendBeforeTime(_ submitter: String, _ bytes: inout [UInt8]) {
        append(#"]],"submitter":"#, &bytes)
        JSONWriter.append(quoted: submitter, to: &bytes)
        append(#","time":""#, &bytes)
    }

    /// From behind the time to the end.
    static func appendAfterTime(type: String, _ bytes: inout [UInt8]) {
        append(#"","type":"#, &bytes)
        JSONWriter.append(quoted: type, to: &bytes)
        append(#","v":1}"#, &bytes)
    }

    /// Appends the canonical JSON.
    func encode(to bytes: inout [UInt8]) {
        Entry.appendBeforeIndex(actor, body: body.bytes, &bytes) { bytes in
            for (position, scope) in claims.enumerated() {
                Entry.open(scope.scope, isFirst: position == 0, &bytes)
                for (position, claim) in scope.claims.enumerated() {
                    if position > 0 { bytes.append(UInt8(ascii: ",")) }
                    JSONWriter.append(quoted: claim.name, to: &bytes)
                    Entry.append(claim.commitment, &bytes)
                }
                bytes.append(UInt8(ascii: "}"))
            }
        }
        JSONWriter.append(Int64(index), to: &bytes)
        Entry.append(Entry.beforePrevious, &bytes)
        previous.appendBase64(to: &bytes)
        Entry.appendBeforeStreams(request, &bytes)
        for (position, membership) in streams.enumerated() {
            Entry.appendBeforeNumber(membership.stream, isFirst: position == 0, &bytes)
            JSONWriter.append(membership.number, to: &bytes)
        }
        Entry.appendBeforeTime(submitter, &bytes)
        time.append(to: &bytes)
        Entry.appendAfterTime(type: type, &bytes)
    }

    static func append(_ text: StaticString, _ bytes: inout [UInt8]) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    /// Opens the object of a scope's claims.
    static func open(_ scope: StreamID, isFirst: Bool, _ bytes: inout [UInt8]) {
        append(isFirst ? #"""# : #",""#, &bytes)
        scope.append(to: &bytes)
        append(#"":{"#, &bytes)
    }

    static func append(_ commitment: Digest, _ bytes: inout [UInt8]) {
        append(#":""#, &bytes)
        commitment.appendBase64(to: &bytes)
        append(#"""#, &bytes)
    }
}
