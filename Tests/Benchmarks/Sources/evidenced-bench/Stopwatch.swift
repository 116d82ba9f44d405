import Glibc
import Histogram

/// Latencies in nanoseconds.
struct Latencies {
    private var histogram = Histogram<UInt64>(
        highestTrackableValue: 60_000_000_000,
        numberOfSignificantValueDigits: .three
    )

    mutating func record(_ nanoseconds: UInt64) { _ = histogram.record(min(nanoseconds, 60_000_000_000)) }

    /// In microseconds.
    func percentile(_ percent: Double) -> Double { Double(histogram.valueAtPercentile(percent)) / 1_000 }

    var text: String {
        "p50 \(figure(percentile(50))) µs, p99 \(figure(percentile(99))), p99.9 \(figure(percentile(99.9)))"
    }
}

enum Stopwatch {
    /// Nanoseconds of a clock that is never set.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    static func seconds(since start: UInt64) -> Double { Double(now - start) / 1e9 }
}

/// A number with as many digits as say something.
func figure(_ value: Double) -> String {
    if value >= 100 {
        var digits = String(Int(value.rounded()))
        var position = digits.count - 3
        while position > 0 {
            digits.insert(",", at: digits.index(digits.startIndex, offsetBy: position))
            position -= 3
        }
        return digits
    }
    let tenths = Int((value * 100).rounded())
    let rest = tenths % 100
    return "\(tenths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
