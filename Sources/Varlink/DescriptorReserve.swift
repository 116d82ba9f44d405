import Glibc
import NIOCore
import Synchronization

/// What the listener does where no more files may be open: a descriptor kept for this lets those who knock be taken in
/// and let go at once, for a queue of them would keep the listener awake without end; then it pauses. It is said once a
/// minute.
final class DescriptorReserve: Sendable {
    private struct State {
        /// Open on nothing; -1 while there is none.
        var spare: Int32 = -1
        var refused = 0
        var saidAt: ContinuousClock.Instant?
    }

    /// How long the listener lets be; those it has may leave meanwhile.
    private static let pause = TimeAmount.milliseconds(100)
    private static let silence = Duration.seconds(60)
    /// How many are let go at a time.
    private static let most = 1_024
    private let log: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(log: @escaping @Sendable (String) -> Void) {
        self.log = log
        state.withLock { $0.spare = DescriptorReserve.open() }
    }

    deinit {
        state.withLock { state in
            if state.spare >= 0 { close(state.spare) }
        }
    }

    /// Connections let go for want of a descriptor.
    var refused: Int { state.withLock { $0.refused } }

    /// A handler for the listening channel.
    func handler(_ listener: Int32) -> AcceptBackoffHandler {
        AcceptBackoffHandler(shouldForwardIOErrorCaught: false) { [self] error in
            guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else { return nil }
            relieve(listener, error)
            return DescriptorReserve.pause
        }
    }

    private func relieve(_ listener: Int32, _ error: IOError) {
        let line = state.withLock { state -> String? in
            if state.spare >= 0 { close(state.spare) }
            for _ in 0..<DescriptorReserve.most {
                let taken = accept(listener, nil, nil)
                if taken < 0, errno == EINTR || errno == ECONNABORTED { continue }
                guard taken >= 0 else { break }
                close(taken)
                state.refused += 1
            }
            state.spare = DescriptorReserve.open()
            let now = ContinuousClock.now
            if let saidAt = state.saidAt, now - saidAt < DescriptorReserve.silence { return nil }
            state.saidAt = now
            return "no more connections can be taken in: \(String(cString: strerror(error.errnoCode))); "
                + "\(state.refused) refused so far"
        }
        if let line { log(line) }
    }

    private static func open() -> Int32 { Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC) }
}
