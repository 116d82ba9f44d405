import CLinux
import Glibc
import LedgerFormat

/// The wall clock, watched against a clock nobody can set, so that a jump is noticed and recorded.
struct LedgerClock {
    /// How far the wall clock may drift from the boot clock between two readings before that is a jump.
    static let jumpMicroseconds: Int64 = 2_000_000

    private let wall: @Sendable () -> Int64
    private let steady: @Sendable () -> Int64
    /// Wall time minus steady time when last looked at.
    private var offset: Int64

    /// - Parameters: both clocks in microseconds; tests give their own.
    init(
        wall: @escaping @Sendable () -> Int64 = { LedgerClock.read(CLOCK_REALTIME) },
        steady: @escaping @Sendable () -> Int64 = { LedgerClock.read(CLOCK_BOOTTIME) }
    ) {
        self.wall = wall
        self.steady = steady
        offset = wall() - steady()
    }

    /// The wall clock's time.
    var now: Int64 { wall() }

    /// How many microseconds the wall clock jumped since the last call, or nil where it ran evenly.
    mutating func jump() -> Int64? {
        let current = wall() - steady()
        let drift = current - offset
        offset = current
        return abs(drift) > LedgerClock.jumpMicroseconds ? drift : nil
    }

    /// Whether the kernel says that something keeps its clock right (adjtimex).
    static var isSynchronized: Bool { evidenced_clock_is_synchronized() == 1 }

    /// Seconds of the boot clock, for measuring how long something takes.
    static var steadySeconds: Int64 { read(CLOCK_BOOTTIME) / 1_000_000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
