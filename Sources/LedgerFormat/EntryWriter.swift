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

    /// Appends the canonical JSON of the entry a submission makes.
    ///
    /// - Parameters:
    ///   - numbers: the entry's number in each of the submission's streams.
    ///   - commitments: begins with those to the submission's claims, scope by scope, in name order.
    public static func encode(
        _ submission: Submission,
        _ head: Head,
        numbers: [UInt64],
        commitments: ArraySlice<Digest>,
        to bytes: inout [UInt8]
    ) {
        encode(
            head,
            type: submission.type.name,
            request: submission.request,
            actor: submission.actor,
            body: submission.body,
            to: &bytes,
            claims: { bytes in
                var next = commitments.startIndex
                for (position, scope) in submission.claims.enumerated() {
                    open(scope.scope, position, &bytes)
                    for (position, claim) in scope.claims.members.enumerated() {
                        if position > 0 { bytes.append(UInt8(ascii: ",")) }
                        bytes.append(contentsOf: scope.claims.bytes[claim.name.lowerBound - 1...claim.name.upperBound])
                        append(commitments[next], &bytes)
                        next += 1
                    }
                    bytes.append(UInt8(ascii: "}"))
                }
            },
            streams: { bytes in
                for (position, stream) in submission.streams.enumerated() {
                    append(stream, Int64(numbers[position]), position, &bytes)
                }
            }
        )
    }

    /// The one template of an entry: its eleven members in canonical order.
    static func encode(
        _ head: Head,
        type: String,
        request: RequestKey,
        actor: Actor,
        body: JSONObjectText,
        to bytes: inout [UInt8],
        claims: (inout [UInt8]) -> Void,
        streams: (inout [UInt8]) -> Void
    ) {
        append(#"{"actor":""#, &bytes)
        actor.append(to: &bytes)
        append(#"","body":"#, &bytes)
        bytes.append(contentsOf: body.bytes)
        append(#","claims":{"#, &bytes)
        claims(&bytes)
        append(#"},"index":"#, &bytes)
        JSONWriter.append(Int64(head.index), to: &bytes)
        append(#","prev":""#, &bytes)
        head.previous.appendBase64(to: &bytes)
        append(#"","request":""#, &bytes)
        request.append(to: &bytes)
        append(#"","streams":["#, &bytes)
        streams(&bytes)
        append(#"],"submitter":"#, &bytes)
        JSONWriter.append(quoted: head.submitter, to: &bytes)
        append(#","time":""#, &bytes)
        head.time.append(to: &bytes)
        append(#"","type":"#, &bytes)
        JSONWriter.append(quoted: type, to: &bytes)
        append(#","v":1}"#, &bytes)
    }

    static func append(_ text: StaticString, _ bytes: inout [UInt8]) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    /// Opens the object of a scope's claims.
    static func open(_ scope: StreamID, _ position: Int, _ bytes: inout [UInt8]) {
        append(position > 0 ? #",""# : #"""#, &bytes)
        scope.append(to: &bytes)
        append(#"":{"#, &bytes)
    }

    static func append(_ commitment: Digest, _ bytes: inout [UInt8]) {
        append(#":""#, &bytes)
        commitment.appendBase64(to: &bytes)
        append(#"""#, &bytes)
    }

    static func append(_ stream: StreamID, _ number: Int64, _ position: Int, _ bytes: inout [UInt8]) {
        append(position > 0 ? #",[""# : #"[""#, &bytes)
        stream.append(to: &bytes)
        append(#"","#, &bytes)
        JSONWriter.append(number, to: &bytes)
        bytes.append(UInt8(ascii: "]"))
    }
}
