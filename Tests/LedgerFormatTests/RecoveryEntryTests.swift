import JSON
import LedgerFormat
import Merkle
import Testing

/// What an entry `system.recovered` says, against the table of ledger-format.md section 6.
@Suite("Recoveries")
struct RecoveryEntryTests {
    private static let root = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    /// 64 bytes, of which nothing is asked here.
    private static let signature =
        "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="
    private static let lockSize = JSONMember(name: "lock_size", value: .int(7))
    private static let lockRoot = JSONMember(name: "lock_root", value: .string(root))
    private static let succession = JSONMember(name: "succession", value: .string(signature))

    private func entry(_ reason: String, _ more: [JSONMember]) throws -> Entry {
        let body: [JSONMember] = [
            JSONMember(name: "incarnation", value: .int(2)),
            JSONMember(name: "origin", value: .string("a.example/l/incarnation/2")),
            JSONMember(
                name: "checkpoint_key",
                value: .string("a.example/l/incarnation/2+00000000+" + String(repeating: "AQEB", count: 11))
            ),
            JSONMember(name: "reason", value: .string(reason)), JSONMember(name: "size", value: .int(5)),
            JSONMember(name: "root", value: .string(RecoveryEntryTests.root)),
        ]
        let stream = try #require(StreamID("ledger/00000000000000000000000000000001"))
        let submission = try Submission(
            type: #require(EventCatalogue.type(named: "system.recovered")),
            request: #require(RequestKey("019b76da-57b8-7000-8000-000000000004")),
            actor: .system,
            streams: [stream],
            body: JSONObjectText(body + more),
            claims: []
        )
        return Entry(
            index: 5,
            previous: .zero,
            time: LedgerTime(microseconds: 1),
            submitter: "evidenced",
            submission: submission,
            streams: [Entry.Membership(stream: stream, number: 1)],
            claims: []
        )
    }

    /// The rule an entry breaks; the audit's and the reader's are one.
    private func broken(_ entry: Entry) throws -> String? {
        let rule = try #require(EventCatalogue.type(named: "system.recovered")).contradiction(entry)
        do throws(EventError) {
            _ = try Recovery(entry)
            #expect(rule == nil)
        } catch {
            #expect(rule == "\(error.field) \(error.rule)")
        }
        return rule
    }

    @Test(
        "count on from the first origin",
        arguments: [
            ("a.example/l", 1, "a.example/l"), ("a.example/l", 2, "a.example/l/incarnation/2"),
            ("a.example/l/incarnation/2", 13, "a.example/l/incarnation/13"),
            ("a.example/l/incarnation/2", 1, "a.example/l"),
            // The mark is found by bytes, whatever would merge with its slashes.
            ("a.example/l\u{200D}/incarnation/\u{301}2", 3, "a.example/l\u{200D}/incarnation/3"),
        ]
    )
    func origins(_ origin: String, _ incarnation: Int64, _ expected: String) {
        #expect(Recovery.origin(origin, incarnation: incarnation).utf8.elementsEqual(expected.utf8))
    }

    @Test("are signed, unless the key was lost", arguments: Recovery.Reason.allCases)
    func presenceOfTheSignature(reason: Recovery.Reason) throws {
        let signed = try broken(entry(reason.rawValue, [RecoveryEntryTests.succession]))
        let unsigned = try broken(entry(reason.rawValue, []))
        if reason == .keyLost {
            #expect(unsigned == nil && signed?.contains("succession must not be given") == true)
        } else {
            #expect(signed == nil && unsigned?.contains("succession must be given") == true)
        }
    }

    @Test("state size and root of the old lock together")
    func lockIsWholeOrAbsent() throws {
        let succession = RecoveryEntryTests.succession
        let whole = try entry("moved", [RecoveryEntryTests.lockSize, RecoveryEntryTests.lockRoot, succession])
        #expect(try broken(whole) == nil)
        #expect(try Recovery(whole).lock?.size == 7)
        #expect(try broken(entry("moved", [RecoveryEntryTests.lockSize, succession]))?.contains("lock_root") == true)
        #expect(try broken(entry("moved", [RecoveryEntryTests.lockRoot, succession]))?.contains("lock_size") == true)
        // There is no checkpoint of no entries.
        #expect(throws: EventError.self) {
            try entry(
                "moved",
                [JSONMember(name: "lock_size", value: .int(0)), RecoveryEntryTests.lockRoot, succession]
            )
        }
    }
}
