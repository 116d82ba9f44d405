import CLinux
import Glibc
import LedgerFormat
import Synchronization

/// The wall clock, a clock nobody can set, and what the kernel says of them.
struct LedgerClock: Sendable {
    private let wall: @Sendable () -> Int64
    private let steady: @Sendable () -> Int64
    private let synchronized: @Sendable () -> Bool

    /// - Parameters: both clocks in microseconds, and whether something keeps the first right; tests give their own.
    init(
        wall: @escaping @Sendable () -> Int64 = { LedgerClock.read(CLOCK_REALTIME) },
        steady: @escaping @Sendable () -> Int64 = { LedgerClock.read(CLOCK_BOOTTIME) },
        synchronized: @escaping @Sendable () -> Bool = { LedgerClock.isSynchronized }
    ) {
        self.wall = wall
        self.steady = steady
        self.synchronized = synchronized
    }

    /// The wall clock's time, in microseconds since the Unix epoch.
    var now: Int64 { wall() }

    /// All that can be said of the clock at once.
    var reading: ClockPolicy.Reading {
        ClockPolicy.Reading(wall: wall(), steady: steady(), isSynchronized: synchronized())
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

/// What the writer found of the clock, for status and logs; and the operator's word, on its way to the writer.
final class ClockStanding: Sendable {
    private struct State {
        var hold: String?
        var isConfirmed = false
    }

    private let state = Mutex(State())

    /// Why no time is taken and appends are refused; nil where they are not.
    var hold: String? { state.withLock { $0.hold } }

    /// Notes what the writer found.
    ///
    /// - Returns: whether it is another finding than the last.
    func note(hold: String?) -> Bool {
        state.withLock { state in
            defer { state.hold = hold }
            if hold == nil { state.isConfirmed = false }
            return state.hold != hold
        }
    }

    /// Takes the operator's word for the time that is held.
    ///
    /// - Returns: whether one is.
    func confirm() -> Bool {
        state.withLock { state in
            state.isConfirmed = state.hold != nil
            return state.isConfirmed
        }
    }

    /// Whether the operator vouched for the time that is held; only once.
    func takeConfirmation() -> Bool {
        state.withLock { state in
            defer { state.isConfirmed = false }
            return state.isConfirmed
        }
    }
}
