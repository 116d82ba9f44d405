import NIOCore

/// Looks once a second whether the other end of a body moves on. It belongs to one event loop.
final class PaceWatch {
    private var pace: BodyPace
    private let loop: any EventLoop
    private let isAwaited: () -> Bool
    private let tooSlow: () -> Void
    private var next: Scheduled<Void>?

    /// - Parameters:
    ///   - isAwaited: whether it is the other end that has to do something now.
    ///   - tooSlow: called once, where it does not.
    init(
        _ limits: VarlinkLimits,
        _ loop: any EventLoop,
        isAwaited: @escaping () -> Bool,
        tooSlow: @escaping () -> Void
    ) {
        pace = BodyPace(idleSeconds: limits.bodyIdleSeconds, minuteBytes: limits.bodyMinuteBytes)
        self.loop = loop
        self.isAwaited = isAwaited
        self.tooSlow = tooSlow
        wait()
    }

    deinit { next?.cancel() }

    func move(_ bytes: Int) { pace.move(bytes) }

    /// Looks no more.
    func stop() {
        next?.cancel()
        next = nil
    }

    private func wait() {
        next = loop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            guard let self else { return }
            if pace.passSecond(isAwaited: isAwaited()) {
                stop()
                tooSlow()
            } else {
                wait()
            }
        }
    }
}
