import LedgerFormat

/// What to make of the clock's readings: which time may go into entries, which is recorded as a jump, and which holds
/// appends until it is confirmed. It reads no clock itself.
///
/// A time taken from a clock that is wrong by years stays for good, for no later entry may have an earlier one. So a
/// step forward that is larger than a limit is not believed at once.
struct ClockPolicy: Sendable {
    /// How far the clocks may drift apart, in microseconds, before that is a jump. The boot clock is slewed together with
    /// the wall clock (clock_gettime(2)), so what drifts is steps, and steps below this add up until they are recorded.
    static let toleranceMicroseconds: Int64 = 2_000_000
    /// How long a time must hold, in microseconds, before synchronisation confirms it: one wrong reading is none.
    static let settlingMicroseconds: Int64 = 1_000_000

    /// How far the clock is believed; all in microseconds.
    struct Limits: Sendable, Equatable {
        /// Largest step forward that is believed at once while the ledger is open.
        var step: Int64
        /// How far after the newest entry the clock may be when the ledger opens.
        var gap: Int64
        /// After how long a time that goes on evenly is believed without anybody's word; nil for never.
        var confirmation: Int64?
    }

    /// The clocks as they were read together.
    struct Reading: Sendable {
        /// Microseconds since the Unix epoch.
        var wall: Int64
        /// Microseconds of a clock that nobody can set.
        var steady: Int64
        /// Whether the kernel says that something keeps the wall clock right.
        var isSynchronized: Bool
    }

    /// Who vouches for a time that was not believed at once.
    enum Confirmation: String, Sendable {
        /// It went on evenly for as long as the limits ask.
        case secondLook = "second-look"
        case synchronization
        case `operator`
    }

    /// What a reading means.
    enum Finding: Sendable, Equatable {
        case even
        /// The first time that is believed since the ledger was opened.
        case opened(Confirmation?)
        /// The wall clock jumped by so many microseconds since the last jump or the opening, and is believed.
        case jumped(Int64, Confirmation?)
        case held(Hold)
    }

    /// Why no time is taken at present.
    enum Reason: Sendable, Equatable {
        /// Further after the newest entry than the limit, in microseconds.
        case gap(Int64)
        /// A larger step forward than the limit, in microseconds.
        case step(Int64)
        /// No entry can be written with such a time, and nothing confirms it.
        case beyondFormat
    }

    /// A time that waits for its confirmation.
    struct Hold: Sendable, Equatable {
        let reason: Reason
        /// The steady clock's time when it was first seen.
        let since: Int64
        /// Wall time minus steady time.
        fileprivate let offset: Int64
    }

    private let limits: Limits
    /// Time of the newest entry when the ledger was opened.
    private let newest: Int64
    /// Wall time minus steady time, as believed last; nil where none was since the opening.
    private var offset: Int64?
    private var hold: Hold?

    /// - Parameter newest: time of the newest entry.
    init(limits: Limits, newest: LedgerTime) {
        self.limits = limits
        self.newest = newest.microseconds
    }

    /// Judges a reading.
    ///
    /// - Parameter operatorConfirms: the operator vouches for the time that is held, if one is.
    mutating func judge(_ reading: Reading, operatorConfirms: Bool = false) -> Finding {
        let current = reading.wall - reading.steady
        guard let reason = doubt(reading, current) else {
            hold = nil
            return believe(current, nil)
        }
        guard let hold, abs(current - hold.offset) <= ClockPolicy.toleranceMicroseconds,
            hold.reason == .beyondFormat ? reason == .beyondFormat : reason != .beyondFormat
        else {
            let hold = Hold(reason: reason, since: reading.steady, offset: current)
            self.hold = hold
            return .held(hold)
        }
        guard reason != .beyondFormat, let confirmation = confirmation(of: hold, reading, operatorConfirms) else {
            return .held(hold)
        }
        self.hold = nil
        return believe(current, confirmation)
    }

    /// Why a reading is not believed at once, if it isn't.
    private func doubt(_ reading: Reading, _ current: Int64) -> Reason? {
        if reading.wall > LedgerTime.maximum.microseconds { return .beyondFormat }
        guard let offset else {
            let gap = reading.wall - newest
            return gap > limits.gap ? .gap(gap) : nil
        }
        let step = current - offset
        return step > limits.step ? .step(step) : nil
    }

    private func confirmation(of hold: Hold, _ reading: Reading, _ operatorConfirms: Bool) -> Confirmation? {
        let held = reading.steady - hold.since
        if operatorConfirms { return .operator }
        if reading.isSynchronized, held >= ClockPolicy.settlingMicroseconds { return .synchronization }
        if let needed = limits.confirmation, held >= needed { return .secondLook }
        return nil
    }

    private mutating func believe(_ current: Int64, _ confirmation: Confirmation?) -> Finding {
        guard let before = offset else {
            offset = current
            return .opened(confirmation)
        }
        let drift = current - before
        guard abs(drift) > ClockPolicy.toleranceMicroseconds else { return .even }
        offset = current
        return .jumped(drift, confirmation)
    }
}

extension ClockPolicy.Hold: CustomStringConvertible {
    /// For the operator: what the clock did.
    var description: String {
        func seconds(_ microseconds: Int64) -> String { "\(microseconds / 1_000_000) seconds" }
        return switch reason {
        case .gap(let microseconds): "the clock is \(seconds(microseconds)) after the newest entry"
        case .step(let microseconds): "the clock jumped forward by \(seconds(microseconds))"
        case .beyondFormat: "the clock is beyond the year 9999"
        }
    }
}
