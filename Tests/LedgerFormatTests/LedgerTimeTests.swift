import LedgerFormat
import Testing

@Suite("Times")
struct LedgerTimeTests {
    @Test(
        "are microseconds since the epoch and 27 characters",
        arguments: [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("2000-02-29T12:00:00.000000Z", 951_825_600_000_000),
            ("2026-01-02T03:04:05.000006Z", 1_767_323_045_000_006),
            ("2038-01-19T03:14:08.000000Z", 2_147_483_648_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] as [(String, Int64)]
    )
    func known(text: String, microseconds: Int64) {
        #expect(LedgerTime(text)?.microseconds == microseconds)
        #expect(LedgerTime(microseconds: microseconds).description == text)
    }

    @Test("agree with GNU date on every day from 1970 to 2400")
    func days() throws {
        // One run: 157,000 days are counted by date itself from seconds since the epoch.
        let last: Int64 = 157_000
        let command = try ShellCommand(
            "seq 0 86400 $((\(last) * 86400)) | sed 's/^/@/' | date -u -f - +%Y-%m-%dT%H:%M:%S.000000Z"
        )
        let lines = command.output.split(separator: "\n").map(String.init)
        #expect(lines.count == Int(last) + 1)
        for (day, line) in zip(0..., lines) {
            let microseconds = Int64(day) * 86_400_000_000
            guard LedgerTime(microseconds: microseconds).description == line,
                LedgerTime(line)?.microseconds == microseconds
            else {
                Issue.record("day \(day) is \(line)")
                break
            }
        }
    }

    @Test("that do not exist or are spelled another way are refused")
    func refused() {
        for text in [
            "", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.0000000Z",
            "2026-01-02t03:04:05.000000Z", "2026-01-02T03:04:05.000000z", "2026-01-02 03:04:05.000000Z",
            "2026-01-02T03:04:05,000000Z", "2026-01-02T03:04:05.00000+Z", " 026-01-02T03:04:05.000000Z",
            "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z", "2026-01-00T00:00:00.000000Z",
            "2026-01-32T00:00:00.000000Z", "2026-04-31T00:00:00.000000Z", "2026-02-29T00:00:00.000000Z",
            "2100-02-29T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z",
            "2026-01-01T23:59:60.000000Z", "1969-12-31T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z",
            "2026-01-02T03:04:05.000000Z\n", "２026-01-02T03:04:05.000000Z",
        ] {
            #expect(LedgerTime(text) == nil, "\(text)")
        }
    }

    @Test("sort as their text does")
    func order() throws {
        let times = [0, 1, 999_999, 1_000_000, 951_782_400_000_000, 253_402_300_799_999_999]
            .map { LedgerTime(microseconds: $0) }
        #expect(times.shuffled().sorted() == times)
        #expect(times.map(\.description) == times.map(\.description).sorted())
        #expect(times.last == .maximum)
    }
}
