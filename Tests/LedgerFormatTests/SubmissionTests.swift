import JSON
import LedgerFormat
import Merkle
import Testing

@Suite("Submissions")
struct SubmissionTests {
    private static let object = "object/019b76da4c0c00000000000000000002"
    private static let body = #"{"product":"deposit","channel":"api","media_type":"text/plain"}"#
    private static let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    private static func event(
        type: String = "evidence.deposited",
        request: String = "019b76da-4c0c-7000-8000-000000000002",
        actor: String = "system",
        streams: [String] = [object],
        body: String = body,
        claims: String = #"{"\#(object)":{"sha256":"\#(digest)"}}"#
    ) -> String {
        let list = streams.map { "\"\($0)\"" }.joined(separator: ",")
        return #"{"type":"\#(type)","request":"\#(request)","actor":"\#(actor)","streams":[\#(list)],"#
            + #""body":\#(body),"claims":\#(claims)}"#
    }

    private static func read(_ text: String) throws -> Submission {
        var reader = JSONReader(Array(text.utf8))
        return try Submission(reading: &reader)
    }

    private static func refusedField(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return (error as? EventError)?.field ?? "\(error)"
        }
    }

    private static func streams(_ count: Int) -> [String] {
        (10..<(10 + count)).map { "object/\($0)9b76da4c0c0000000000000000000\(count % 10)" }
    }

    @Test("are read, streams and claims brought into order")
    func reading() throws {
        let subject = "subject/019b76da4c0c00000000000000000001"
        let submission = try SubmissionTests.read(
            SubmissionTests.event(
                actor: subject,
                streams: [subject, SubmissionTests.object],
                claims: #"{"\#(subject)":{"size":3},"\#(SubmissionTests.object)":{"sm3":"\#(SubmissionTests.digest)","#
                    + #""sha256":"\#(SubmissionTests.digest)"}}"#
            )
        )
        #expect(submission.type.name == "evidence.deposited")
        #expect(submission.actor.description == subject)
        #expect(submission.streams.map(\.description) == [SubmissionTests.object, subject])
        #expect(submission.claims.map(\.scope) == submission.streams)
        #expect(submission.claims.map { $0.claims.values.map(\.name) } == [["sha256", "sm3"], ["size"]])
    }

    /// Several events of one call share their buffers; each must come out as it does alone.
    @Test("are the same read together as one by one, and make the same entries")
    func together() throws {
        let subject = "subject/019b76da4c0c00000000000000000001"
        let two = #"{"\#(subject)":{"size":3},"\#(SubmissionTests.object)":{"sm3":"\#(SubmissionTests.digest)","#
        let texts = [
            SubmissionTests.event(),
            SubmissionTests.event(
                streams: [subject, SubmissionTests.object],
                claims: two + #""sha256":"\#(SubmissionTests.digest)"}}"#
            ),
            SubmissionTests.event(
                request: "019b76da-4c0c-7000-8000-000000000003",
                body: #"{"channel":"\u0061pi","media_type":"text/plain","product":"deposit"}"#
            ),
            SubmissionTests.event(),
        ]
        var together = Submissions()
        for text in texts {
            var reader = JSONReader(Array(text.utf8))
            try together.append(reading: &reader)
        }
        let alone = try texts.map { try SubmissionTests.read($0) }
        #expect((0..<texts.count).map { together[$0] } == alone)
        #expect(together.isSame(together.events[0], together.events[3]))
        #expect(!together.isSame(together.events[0], together.events[1]))
        #expect(!together.isSame(together.events[0], together.events[2]))

        let commitments = (0..<6).map { byte in
            Digest(writing: { for position in $0.indices { $0[position] = UInt8(byte) } })
        }
        let drafts = EntryDrafts(Submissions(alone), submitter: "shop", commitments: commitments)
        var next = commitments[...]
        for (position, submission) in alone.enumerated() {
            let entry = Entry(
                index: UInt64(9_999 + position),
                previous: commitments[5],
                time: .maximum,
                submitter: "shop",
                submission: submission,
                streams: submission.streams.enumerated().map { Entry.Membership(stream: $1, number: Int64(99 * $0)) },
                claims: submission.claims.map { scope in
                    Entry.Scope(
                        scope: scope.scope,
                        claims: scope.claims.values.map {
                            CommittedClaim(name: $0.name, commitment: next.removeFirst())
                        }
                    )
                }
            )
            var written: [UInt8] = []
            drafts.append(
                position,
                index: entry.index,
                previous: commitments[5],
                numbers: entry.streams.map { UInt64($0.number) },
                time: .maximum,
                to: &written
            )
            #expect(written == entry.encoded)
            #expect(try Entry(written) == entry)
        }
    }

    @Test("are equal where they differ only in order, and only there")
    func equality() throws {
        let one = try SubmissionTests.read(SubmissionTests.event())
        let reordered = #"{"media_type":"text/plain","product":"deposit","channel":"api"}"#
        let changed = SubmissionTests.body.replacing("api", with: "upload")
        #expect(try one == SubmissionTests.read(SubmissionTests.event(body: reordered)))
        #expect(try one != SubmissionTests.read(SubmissionTests.event(body: changed)))
        let otherDigest = SubmissionTests.event().replacing("ba7816bf", with: "ba7816be")
        #expect(try one != SubmissionTests.read(otherDigest))
    }

    @Test("that break a rule are refused by the name of the field")
    func refusals() {
        func field(_ text: String) -> String? { SubmissionTests.refusedField(text) }
        #expect(field(SubmissionTests.event()) == nil)
        #expect(field(SubmissionTests.event(type: "evidence.forgotten")) == "type")
        #expect(field(SubmissionTests.event(request: "019B76DA-4C0C-7000-8000-000000000002")) == "request")
        #expect(field(SubmissionTests.event(actor: SubmissionTests.object)) == "actor")
        #expect(field(SubmissionTests.event(streams: [])) == "streams")
        #expect(field(SubmissionTests.event(streams: ["object/1"])) == "streams")
        #expect(field(SubmissionTests.event(streams: [SubmissionTests.object, SubmissionTests.object])) == "streams")
        #expect(field(SubmissionTests.event(body: "{}")) == "body.channel")
        #expect(field(SubmissionTests.event(body: #"{"product":1}"#)) == "body.product")
        #expect(field(SubmissionTests.event(body: "[]")) == "event")
        #expect(field(SubmissionTests.event(claims: "{}")) == "claims.sha256")
        #expect(field(SubmissionTests.event(claims: #"{"\#(SubmissionTests.object)":{}}"#)) == "claims")
        #expect(field(SubmissionTests.event(claims: #"{"\#(SubmissionTests.object)":1}"#)) == "claims")
        #expect(field(SubmissionTests.event(claims: #"{"here":{"sha256":"x"}}"#)) == "claims")
        #expect(field(SubmissionTests.event().replacing(#""type""#, with: #""kind""#)) == "event")
        #expect(field("{}") == "type")
        #expect(field("[]") == "event")
        #expect(field("") == "event")
        #expect(field(SubmissionTests.event().replacing(#""actor":"system","#, with: "")) == "actor")
        #expect(field(SubmissionTests.event().replacing(#""actor":"system""#, with: #""actor":1"#)) == "event")
        #expect(
            field(SubmissionTests.event().replacing(#""actor":"system""#, with: #""actor":"system","actor":"system""#))
                == "event"
        )
    }

    @Test("that no entry could hold are refused before they are put in order")
    func oversized() {
        func field(_ text: String) -> String? { SubmissionTests.refusedField(text) }
        let names = (0..<20_000).map { #""é\#($0)":0"# }.joined(separator: ",")
        #expect(field(SubmissionTests.event(body: "{\(names)}")) == "event")
        #expect(field(SubmissionTests.event(claims: #"{"\#(SubmissionTests.object)":{\#(names)}}"#)) == "event")
        let scopes = SubmissionTests.streams(200).map { #""\#($0)":{}"# }.joined(separator: ",")
        #expect(field(SubmissionTests.event(claims: "{\(scopes)}")) == "claims")
    }

    @Test("have 1 to 16 streams")
    func streamLimit() {
        func field(_ count: Int) -> String? {
            let streams = SubmissionTests.streams(count)
            let claims = #"{"\#(streams[0])":{"sha256":"\#(SubmissionTests.digest)"}}"#
            return SubmissionTests.refusedField(SubmissionTests.event(streams: streams, claims: claims))
        }
        #expect(field(1) == nil)
        #expect(field(16) == nil)
        #expect(field(17) == "streams")
    }

    @Test("have at most 64 claims, each value at most 8,192 bytes of canonical JSON")
    func claimLimits() throws {
        let scope = try #require(StreamID(SubmissionTests.object))
        func refusal(_ claims: [JSONMember]) -> EventError? {
            do {
                _ = try Submission(
                    type: #require(EventCatalogue.type(named: "evidence.deposited")),
                    request: #require(RequestKey("019b76da-4c0c-7000-8000-000000000002")),
                    actor: .system,
                    streams: [scope],
                    body: JSONObjectText(parsing: Array(SubmissionTests.body.utf8)),
                    claims: [Submission.Scope(scope: scope, claims: JSONObjectText(claims))]
                )
                return nil
            } catch {
                return error as? EventError
            }
        }
        // No type has 65 claims; which rule is named tells which limit was met first.
        let many = (0..<65).map { JSONMember(name: "c\($0)", value: .int(1)) }
        #expect(refusal(many) == EventError(field: "claims", rule: "must be at most 64"))
        #expect(
            refusal(Array(many.prefix(64)))
                == EventError(field: "claims", rule: "must hold only the fields of the type")
        )

        // Nor is there a text as long; a value of 8,192 bytes is refused by its own rule, one more by the format's.
        let longest = JSONMember(name: "file_name", value: .string(String(repeating: "x", count: 8_190)))
        let longer = JSONMember(name: "file_name", value: .string(String(repeating: "x", count: 8_191)))
        #expect(refusal([longest])?.rule == "must be text of 1 to 1024 bytes")
        #expect(refusal([longer])?.rule == "must be at most 8192 bytes of canonical JSON")
        // Escapes count as they are written.
        let escaped = JSONMember(name: "file_name", value: .string(String(repeating: "\u{1}", count: 1_366)))
        #expect(refusal([escaped])?.rule == "must be at most 8192 bytes of canonical JSON")
    }
}
