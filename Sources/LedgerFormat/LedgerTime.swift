/// A point in time in microseconds since the Unix epoch, written as RFC 3339 UTC with six fraction digits:
/// `2026-01-02T03:04:05.000006Z`. Leap seconds do not exist here, as in POSIX time.
public struct LedgerTime: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let microseconds: Int64

    /// The last moment that fits the four-digit year of the text form.
    public static let maximum = LedgerTime(microseconds: 253_402_300_799_999_999)

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Parses exactly 27 characters; any other form, an impossible date or a year before 1970 gives nil.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(utf8: bytes.span)
    }

    /// The same, given as ASCII.
    public init?(utf8 text: Span<UInt8>) {
        guard text.count == 27, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[10] == UInt8(ascii: "T"), text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            text[19] == UInt8(ascii: "."), text[26] == UInt8(ascii: "Z"),
            let year = LedgerTime.number(text.extracting(0..<4)),
            let month = LedgerTime.number(text.extracting(5..<7)), let day = LedgerTime.number(text.extracting(8..<10)),
            let hour = LedgerTime.number(text.extracting(11..<13)),
            let minute = LedgerTime.number(text.extracting(14..<16)),
            let second = LedgerTime.number(text.extracting(17..<19)),
            let fraction = LedgerTime.number(text.extracting(20..<26)), year >= 1970, 1...12 ~= month, day >= 1,
            hour < 24, minute < 60, second < 60, day <= LedgerTime.days(inMonth: month, of: year)
        else { return nil }
        let days = LedgerTime.daysSinceEpoch(year: year, month: month, day: day)
        microseconds = (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000 + fraction
    }

    private static func number(_ digits: Span<UInt8>) -> Int64? {
        var value: Int64 = 0
        for position in digits.indices {
            let digit = digits[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }

    public var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the 27 characters.
    public func append(to bytes: inout [UInt8]) {
        let seconds = microseconds / 1_000_000
        let (year, month, day) = LedgerTime.civil(daysSinceEpoch: seconds / 86_400)
        let second = seconds % 86_400
        let fields =
            [
                (year, 4, "-"), (month, 2, "-"), (day, 2, "T"), (second / 3_600, 2, ":"), (second / 60 % 60, 2, ":"),
                (second % 60, 2, "."), (microseconds % 1_000_000, 6, "Z"),
            ] as InlineArray<7, (Int64, Int, Unicode.Scalar)>
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 27) { output in
            var end = 0
            for number in fields.indices {
                let (value, digits, separator) = fields[number]
                var rest = value
                for position in (end..<end + digits).reversed() {
                    output[position] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                output[end + digits] = UInt8(ascii: separator)
                end += digits + 1
            }
            bytes.append(contentsOf: output)
        }
    }

    public static func < (left: LedgerTime, right: LedgerTime) -> Bool { left.microseconds < right.microseconds }

    // The proleptic Gregorian calendar counted in 400-year eras that begin on 1 March, so that the leap day is last.

    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
