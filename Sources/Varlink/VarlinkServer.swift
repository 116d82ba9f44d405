import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Serves both skins on one Unix stream socket.
public final class VarlinkServer: Sendable {
    /// Where to listen.
    public enum Endpoint: Sendable {
        /// A listening descriptor from the service manager.
        case inherited(Int32)
        /// A path to bind, with the permissions of the socket.
        case path(String, mode: UInt32)
    }

    private static let workerNiceness: Int32 = 5
    /// After how long a stranger's place is free again.
    private static let strangerPause = TimeAmount.seconds(1)
    private let host: ServerHost
    private let group: MultiThreadedEventLoopGroup
    private let pool: NIOThreadPool
    private let mailboxes: [ObjectIdentifier: Mailbox]
    private let loops: [any EventLoop]
    private let nextLoop = Atomic<Int>(0)
    private let acceptor = Mutex<Acceptor?>(nil)
    private let reserve: DescriptorReserve
    private let children = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// - Parameter log: takes what the operator should know; never anything personal.
    public init(
        service: any VarlinkService,
        limits: VarlinkLimits = VarlinkLimits(),
        loops: Int = 2,
        workers: Int = 2,
        log: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        reserve = DescriptorReserve(log: log)
        group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let pool = NIOThreadPool(numberOfThreads: workers)
        pool.start()
        self.pool = pool
        host = ServerHost(service: service, limits: limits, threads: workers) { work in
            pool.submit { state in
                guard case .active = state else { return }
                // Whoever reads must not keep the writer from the processor: 0 is the thread that asks.
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, VarlinkServer.workerNiceness)
                work()
            }
        }
        var mailboxes: [ObjectIdentifier: Mailbox] = [:]
        self.loops = Array(group.makeIterator())
        for loop in self.loops { mailboxes[ObjectIdentifier(loop)] = Mailbox(loop: loop) }
        self.mailboxes = mailboxes
    }

    /// Connections open now.
    public var connections: Int { host.connections }

    /// Bodies under way now, of both directions.
    public var bodies: Int { host.bodies.taken }

    /// Bytes of calls being received or answered, beyond what each connection may hold anyway.
    public var heldInputBytes: Int { host.budget.held }

    /// Connections let go because no more files may be open.
    public var refusedForFiles: Int { reserve.refused }

    /// Sends the answers that were given as one of many.
    public func deliverAnswers() {
        for mailbox in mailboxes.values { mailbox.deliverHeld() }
    }

    /// Begins to accept connections.
    public func start(_ endpoint: Endpoint) throws {
        let listener =
            switch endpoint {
            case .inherited(let descriptor): try ListeningSocket(inherited: descriptor)
            case .path(let path, let mode): try ListeningSocket(path: path, mode: mode)
            }
        let started = Acceptor(listener, reserve: reserve) { [self] descriptor, peer in take(descriptor, peer) }
        acceptor.withLock { $0 = started }
        started.start()
    }

    /// Stops accepting, gives running calls `seconds` to be answered, then closes what is left.
    public func stop(drainSeconds seconds: Int) {
        acceptor.withLock { acceptor in
            acceptor?.stop()
            acceptor = nil
        }
        let deadline = ContinuousClock.now + .seconds(seconds)
        while host.service.hasCallsInFlight || host.bodies.isFinishing, ContinuousClock.now < deadline { usleep(5_000) }
        usleep(20_000)
        for channel in children.withLock({ Array($0.values) }) { channel.close(promise: nil) }
        host.stop()
        try? group.syncShutdownGracefully()
        try? pool.syncShutdownGracefully()
        // No thread is left that could be at work on one. What was on its way to a connection has none any more.
        for mailbox in mailboxes.values { mailbox.discard() }
        host.bodies.abandonAll()
    }

    /// Serves a connection, or says that it may not be.
    private func take(_ descriptor: Int32, _ peer: PeerCredentials) -> Bool {
        guard var terms = host.admit(peer) else { return false }
        terms.descriptor = descriptor
        let loop = loops[nextLoop.add(1, ordering: .relaxed).oldValue % loops.count]
        let opened = ClientBootstrap(group: loop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { [self, terms] channel in
                channel.eventLoop.makeCompletedFuture { try serve(channel, terms) }
            }
            .withConnectedSocket(descriptor)
        opened.flatMap(\.closeFuture).whenComplete { [host, terms] _ in
            guard terms.share.isStrangers else { return host.release(terms) }
            // Who comes again and again must not have more made for him than who stays.
            loop.scheduleTask(in: VarlinkServer.strangerPause) { host.release(terms) }
        }
        return true
    }

    private func serve(_ channel: any Channel, _ terms: ConnectionTerms) throws {
        guard let mailbox = mailboxes[ObjectIdentifier(channel.eventLoop)] else {
            throw ChannelError.operationUnsupported
        }
        let key = ObjectIdentifier(channel)
        children.withLock { $0[key] = channel }
        let end: Scheduled<Void>? =
            terms.lifeSeconds == 0
            ? nil : channel.eventLoop.scheduleTask(in: .seconds(terms.lifeSeconds)) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [self] _ in
            end?.cancel()
            _ = children.withLock { $0.removeValue(forKey: key) }
        }
        try channel.pipeline.syncOperations.addHandler(SkinSelector(host: host, terms: terms, mailbox: mailbox))
    }
}
