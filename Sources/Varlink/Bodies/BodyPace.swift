/// Whether the other end of a body moves on: it may not stand still for long, nor do less than a little in a minute, or
/// places for bodies would be held for ever by who does next to nothing. Only the time in which it is waited for counts.
struct BodyPace {
    private static let minute: Int64 = 60
    private let idleSeconds: Int64
    private let minuteBytes: Int
    private var movedNow = 0
    private var movedInMinute = 0
    private var stillSeconds: Int64 = 0
    private var seconds: Int64 = 0

    /// - Parameters:
    ///   - idleSeconds: how long it may stand still; 0 for ever.
    ///   - minuteBytes: how much it must do in a minute.
    init(idleSeconds: Int64, minuteBytes: Int) {
        self.idleSeconds = idleSeconds
        self.minuteBytes = minuteBytes
    }

    mutating func move(_ bytes: Int) { movedNow += bytes }

    /// Notes that a second has gone by.
    ///
    /// - Parameter isAwaited: whether it is the other end that has to do something.
    /// - Returns: whether that is too slow.
    mutating func passSecond(isAwaited: Bool) -> Bool {
        let moved = movedNow
        movedNow = 0
        movedInMinute += moved
        stillSeconds = moved > 0 ? 0 : stillSeconds
        guard isAwaited else { return false }
        if moved == 0 { stillSeconds += 1 }
        seconds += 1
        if idleSeconds > 0, stillSeconds >= idleSeconds { return true }
        guard seconds == BodyPace.minute else { return false }
        defer { (seconds, movedInMinute) = (0, 0) }
        return movedInMinute < minuteBytes
    }
}
