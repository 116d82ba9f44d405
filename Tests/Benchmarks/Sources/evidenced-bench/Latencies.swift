import Histogram

/// Latencies in nanoseconds.
struct Latencies {
    private static let highest: UInt64 = 60_000_000_000
    private var histogram = Histogram<UInt64>(
        highestTrackableValue: Latencies.highest,
        numberOfSignificantValueDigits: .three
    )

    mutating func record(_ nanoseconds: UInt64) { _ = histogram.record(min(nanoseconds, Latencies.highest)) }

    /// In microseconds.
    func percentile(_ percent: Double) -> Double { Double(histogram.valueAtPercentile(percent)) / 1_000 }
}
