/// One figure about one size of ledger.
struct Measurement {
    enum Better { case lower, higher, neither }

    /// What the figure is compared with.
    struct Raw {
        let name: String
        let value: Double
    }

    /// The key of its row; two blanks in front where it tells more about the row above.
    let what: String
    let figure: Double
    let unit: String
    var better = Better.neither
    var raw: Raw?
    var target: Target?
    /// Whether the largest ledger must be within `growthLimit` of the smallest one's.
    var isBoundInGrowth = false

    static let growthLimit = 0.2

    var ratio: Double? { raw.map { figure / $0.value } }

    /// Whether the target is met; nil where there is none.
    var isMet: Bool? {
        guard let target else { return nil }
        return target.isOfRatio ? ratio.map { target.allows($0) } : target.allows(figure)
    }

    /// Whether a figure grown by this factor breaks the limit.
    func breaksGrowthLimit(_ growth: Double) -> Bool {
        switch better {
        case _ where !isBoundInGrowth: false
        case .lower: growth > 1 + Measurement.growthLimit
        case .higher: growth < 1 - Measurement.growthLimit
        case .neither: false
        }
    }
}

/// A bound on a figure, or on its ratio.
struct Target {
    private let limit: Double
    private let isUpper: Bool
    let isOfRatio: Bool
    let text: String

    static func atMost(_ limit: Double) -> Target { Target(limit, isUpper: true, of: nil) }
    static func atLeast(_ limit: Double) -> Target { Target(limit, isUpper: false, of: nil) }
    static func atMost(_ limit: Double, times what: String) -> Target { Target(limit, isUpper: true, of: what) }
    static func atLeast(_ limit: Double, times what: String) -> Target { Target(limit, isUpper: false, of: what) }

    private init(_ limit: Double, isUpper: Bool, of what: String?) {
        self.limit = limit
        self.isUpper = isUpper
        isOfRatio = what != nil
        let number = limit == limit.rounded() ? Figure.grouped(Int(limit)) : "\(limit)"
        text = "\(isUpper ? "<=" : ">=") \(number)" + (what.map { " x \($0)" } ?? "")
    }

    func allows(_ value: Double) -> Bool { isUpper ? value <= limit : value >= limit }
}
