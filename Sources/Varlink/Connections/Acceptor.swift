import Glibc
import Synchronization

/// Takes connections in, on a thread of its own. Who may not come is let go before anything is made for him: whoever
/// does nothing but knock takes as little from others as can be.
final class Acceptor: Sendable {
    /// How long it lets be where no more files may be open; those there are may leave meanwhile.
    private static let pause: Int32 = 100
    /// How many are taken out of the system's queue before anything is made for them: a storm must not fill it.
    private static let turn = 256
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
        var taken: [(descriptor: Int32, peer: PeerCredentials)] = []
        while !isStopping.load(ordering: .relaxed) {
            let code = accept(&taken)
            for (descriptor, peer) in taken
            where ListeningSocket.isGone(descriptor) || !take(descriptor, peer) { close(descriptor) }
            switch code {
            case 0: continue
            case EAGAIN: return true
            default:
                reserve.relieve(listener, code)
                var waiting = pollfd(fd: waking.reading, events: 0, revents: 0)
                poll(&waiting, 1, Acceptor.pause)
                return false
            }
        }
        return true
    }

    /// Takes as many in as a turn has.
    ///
    /// - Returns: why it ended before, an errno; 0 where it did not.
    private func accept(_ taken: inout [(descriptor: Int32, peer: PeerCredentials)]) -> Int32 {
        taken.removeAll(keepingCapacity: true)
        var peer = PeerCredentials(pid: 0, uid: 0, gid: 0)
        while taken.count < Acceptor.turn {
            let next = listener.accept(&peer)
            switch -next {
            case EINTR, ECONNABORTED: continue
            case let code where code > 0: return code
            default: taken.append((next, peer))
            }
        }
        return 0
    }
}
