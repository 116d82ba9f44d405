import LedgerFormat
import Testing

@Suite("Streams, ids, actors and names")
struct IdentifierTests {
    private static let id = "0123456789abcdef0123456789abcdef"
    private static let misspeltIDs = [
        "", id + "0", String(id.dropLast()), id.uppercased(), "g" + id.dropFirst(), " " + id.dropFirst(),
        "０" + id.dropFirst(), id + "\n", "01234567-89ab-cdef-0123-456789abcdef",
    ]

    @Test("Ids are 32 hex digits of lower case")
    func ids() throws {
        let id = try #require(ID128(IdentifierTests.id))
        #expect(id.high == 0x0123_4567_89AB_CDEF && id.low == 0x0123_4567_89AB_CDEF)
        #expect(id.description == IdentifierTests.id)
        var bytes: [UInt8] = []
        id.append(to: &bytes)
        #expect(
            bytes == [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
        )
        #expect(ID128(bytes: bytes.span) == id)
        for count in [0, 15, 17] { #expect(ID128(bytes: [UInt8](repeating: 0, count: count).span) == nil) }
        for text in IdentifierTests.misspeltIDs { #expect(ID128(text) == nil, "\(text)") }
    }

    @Test("Ids hold their milliseconds first, and sort as their text does")
    func order() {
        // 2026-01-01T00:00:00Z is 1767225600000 ms, 0x019B76DAA800.
        let id = ID128(milliseconds: 1_767_225_600_000, random: (0xFFFF, .max))
        #expect(id.description == "019b76daa800ffffffffffffffffffff")
        let ids = [(0, 0), (0, 1), (0, UInt64.max), (1, 0), (1 << 63, 0), (UInt64.max, .max)]
            .map { ID128(high: $0.0, low: $0.1) }
        #expect(ids.shuffled().sorted() == ids)
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
    }

    @Test("Kinds have the codes of the format")
    func kinds() throws {
        let rows = try FormatDocument().text.matches(of: /\n\| `([a-z]+)` \| ([0-9]+) \|/)
        let codes = Dictionary(uniqueKeysWithValues: rows.map { (String($0.1), String($0.2)) })
        #expect(codes.count == 14)
        #expect(Dictionary(uniqueKeysWithValues: StreamKind.allCases.map { ($0.rawValue, "\($0.code)") }) == codes)
    }

    @Test("Streams are written kind/id and sort as their text does")
    func streams() throws {
        var streams: [StreamID] = []
        for kind in StreamKind.allCases {
            let text = "\(kind.rawValue)/\(IdentifierTests.id)"
            let stream = try #require(StreamID(text))
            #expect(stream.kind == kind && stream.description == text)
            streams += [stream, StreamID(kind: kind, id: ID128(high: 0, low: 0))]
        }
        #expect(streams.sorted().map(\.description) == streams.map(\.description).sorted())
        for id in IdentifierTests.misspeltIDs { #expect(StreamID("object/" + id) == nil, "\(id)") }
        for text in ["", "/", IdentifierTests.id, "thing/", "Object/", "object//", " object/", "", "object\u{2044}"] {
            #expect(StreamID(text + IdentifierTests.id) == nil, "\(text)")
        }
        #expect(StreamID("object/\(IdentifierTests.id)/") == nil)
    }

    @Test("Actors are the system, or a subject, member of staff or vendor")
    func actors() throws {
        #expect(Actor("system") == .system)
        #expect(Actor.system.description == "system")
        for kind in StreamKind.allCases {
            let text = "\(kind.rawValue)/\(IdentifierTests.id)"
            let actor = Actor(text)
            if ["subject", "staff", "vendor"].contains(kind.rawValue) {
                #expect(try actor == .party(#require(StreamID(text))))
                #expect(actor?.description == text)
            } else {
                #expect(actor == nil, "\(kind)")
            }
        }
        for text in ["", "System", "system ", "subject", "subject/", "subject/1"] { #expect(Actor(text) == nil) }
    }

    @Test("Submitter names are 1 to 64 bytes, a lower-case letter first")
    func submitters() {
        for name in ["a", "evidenced", "deposit-service", "a_b.c-9", String(repeating: "z", count: 64)] {
            #expect(SubmitterName.isValid(name), "\(name)")
        }
        for name in [
            "", "A", "aB", "9a", "-a", "_a", ".a", "a b", "a/b", "a\n", "é", "aé", "a\0",
            String(repeating: "z", count: 65),
        ] {
            #expect(!SubmitterName.isValid(name), "\(name.debugDescription)")
        }
    }

    @Test("Request keys are UUIDs of lower case")
    func requestKeys() throws {
        // RFC 9562 appendix A.6, a UUID of version 7.
        let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        let key = try #require(RequestKey(text))
        #expect(key.value == ID128(high: 0x017F_22E2_79B0_7CC3, low: 0x98C4_DC0C_0C07_398F))
        #expect(key.description == text)
        #expect(RequestKey("00000000-0000-0000-0000-000000000000") != nil)
        for text in [
            "", text.uppercased(), text + "0", String(text.dropLast()), "{\(text)}", "urn:uuid:" + text,
            text.filter { $0 != "-" }, "017f22e279b0-7cc3-98c4-dc0c-0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
            "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398-",
        ] {
            #expect(RequestKey(text) == nil, "\(text)")
        }
    }
}
