import Glibc

/// A bar on stderr, drawn at most ten times a second, and only where stderr is a terminal.
struct ProgressBar {
    private static let width = 30
    private let label: String
    private var drawn: Int64 = 0
    private var isDrawn = false

    init(_ label: String) { self.label = label }

    mutating func update(done: UInt64, total: UInt64) {
        guard Terminal.isWatched else { return }
        let now = ProgressBar.milliseconds
        guard now - drawn >= 100 else { return }
        drawn = now
        isDrawn = true
        let share = total == 0 ? 1 : min(1, Double(done) / Double(total))
        let filled = Int(share * Double(ProgressBar.width))
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: ProgressBar.width - filled)
        Terminal.toStandardError("\r\u{1B}[K\(label) [\(bar)] \(Int(share * 100)) %")
    }

    /// Takes the bar off the screen.
    mutating func clear() {
        if isDrawn { Terminal.toStandardError("\r\u{1B}[K") }
        isDrawn = false
    }

    private static var milliseconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }
}
