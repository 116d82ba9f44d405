/// Sizes as the configuration file writes them: digits and at most one of K, M, G, T.
enum ByteSize {
    private static let suffixes: [(letter: UInt8, shift: Int)] = [
        (UInt8(ascii: "T"), 40), (UInt8(ascii: "G"), 30), (UInt8(ascii: "M"), 20), (UInt8(ascii: "K"), 10),
    ]

    static func parse(_ text: String) -> Int? {
        let suffix = suffixes.first { $0.letter == text.utf8.last }
        let digits = suffix == nil ? text : String(decoding: text.utf8.dropLast(), as: UTF8.self)
        guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(digits) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: 1 << (suffix?.shift ?? 0))
        return overflow ? nil : value
    }

    static func text(_ value: Int) -> String {
        guard value > 0, let suffix = suffixes.first(where: { value % (1 << $0.shift) == 0 }) else {
            return String(value)
        }
        return String(value >> suffix.shift) + String(UnicodeScalar(suffix.letter))
    }
}
