import Glibc
import Synchronization

/// Takes connections in, on a thread of its own. Who may not come is let go before anything is made for him: whoever
/// does nothing but knock takes as little from others as can be.
final class Acceptor: Sendable {
    /// How long it lets be where no more files may be open; those there are may leave meanwhile.
    private static let pause: Int32 = 100
    private let listener: ListeningSocket
    private let reserve: DescriptorReserve
    private let take: @Sendable (Int32, PeerCredentials) -> Bool
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<UInt?>(nil)
    /// A pipe whose writing end is closed to wake the thread.
    private let waking: (reading: Int32, writing: Int32)

    /// - Parameter take: says whether a connection is taken; it is closed otherwise.
    init(
        _ listener: ListeningSocket,
        reserve: DescriptorReserve,
        take: @escaping @Sendable (Int32, PeerCredentials) -> Bool
    ) {
        self.listener = listener
        self.reserve = reserve
        self.take = take
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        waking = (ends[0], ends[1])
    }

    func start() {
        let context = Unmanaged.passRetained(self)
        var started = pthread_t()
        let code = pthread_create(
            &started,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Acceptor>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            context.toOpaque()
        )
        precondition(code == 0, "a thread can be started")
        thread.withLock { [started] in $0 = UInt(started) }
    }

    /// Takes no more in, and waits until that is so. Called once.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        close(waking.writing)
        if let thread = thread.withLock({ $0 }) { pthread_join(pthread_t(thread), nil) }
        close(waking.reading)
        listener.close()
    }

    private func run() {
        while !isStopping.load(ordering: .acquiring) {
            guard takeAll() else { continue }
            var waiting = [
                pollfd(fd: waking.reading, events: 0, revents: 0),
                pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            poll(&waiting, 2, -1)
        }
    }

    /// - Returns: whether nobody waits any more.
    private func takeAll() -> Bool {
        var peer = PeerCredentials(pid: 0, uid: 0, gid: 0)
        while !isStopping.load(ordering: .relaxed) {
            let taken = listener.accept(&peer)
            if taken >= 0 {
                // Nothing is made for who is gone: a storm of them costs less so, and takes no place from others.
                if UnreadBytes.areOver(taken) || !take(taken, peer) { close(taken) }
                continue
            }
            switch -taken {
            case EAGAIN: return true
            case EINTR, ECONNABORTED: continue
            default:
                reserve.relieve(listener, -taken)
                var waiting = pollfd(fd: waking.reading, events: 0, revents: 0)
                poll(&waiting, 1, Acceptor.pause)
                return false
            }
        }
        return true
    }
}
