import Glibc
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

    /// Lets go of those who wait, and says so.
    ///
    /// - Parameter code: why they could not be taken in, an errno.
    func relieve(_ listener: ListeningSocket, _ code: Int32) {
        let line = state.withLock { state -> String? in
            if state.spare >= 0 { close(state.spare) }
            var peer = PeerCredentials(pid: 0, uid: 0, gid: 0)
            for _ in 0..<DescriptorReserve.most {
                let taken = listener.accept(&peer)
                if taken == -EINTR || taken == -ECONNABORTED { continue }
                guard taken >= 0 else { break }
                close(taken)
                state.refused += 1
            }
            state.spare = DescriptorReserve.open()
            let now = ContinuousClock.now
            if let saidAt = state.saidAt, now - saidAt < DescriptorReserve.silence { return nil }
            state.saidAt = now
            return "no more connections can be taken in: \(String(cString: strerror(code))); "
                + "\(state.refused) refused so far"
        }
        if let line { log(line) }
    }

    private static func open() -> Int32 { Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC) }
}
