import Glibc

/// Numbers with as many digits as say something.
enum Figure {
    static func text(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        if value >= 100 { return grouped(Int(value.rounded())) }
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    static func grouped(_ value: Int) -> String {
        var digits = String(value)
        var position = digits.count - 3
        while position > 0 {
            digits.insert(",", at: digits.index(digits.startIndex, offsetBy: position))
            position -= 3
        }
        return digits
    }

    /// Minutes and seconds.
    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}
