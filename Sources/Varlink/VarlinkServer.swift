import CLinux
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
    private static let backlog: Int32 = 4_096
    private let host: ServerHost
    private let group: MultiThreadedEventLoopGroup
    private let pool: NIOThreadPool
    private let mailboxes: [ObjectIdentifier: Mailbox]
    private let listener = Mutex<(any Channel)?>(nil)
    /// nil where the service manager made the socket.
    private let socketFile = Mutex<SocketFile?>(nil)
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
        for loop in group.makeIterator() { mailboxes[ObjectIdentifier(loop)] = Mailbox(loop: loop) }
        self.mailboxes = mailboxes
    }

    /// Connections open now.
    public var connections: Int { host.connections }

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
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: VarlinkServer.backlog)
            .serverChannelInitializer { [reserve] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    let listener = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
                    if let listener { try pipeline.addHandler(reserve.handler(listener)) }
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try admit(channel) }
            }
        let channel: any Channel
        switch endpoint {
        case .inherited(let descriptor):
            channel = try bootstrap.withBoundSocket(descriptor).wait()
            // NIO has called listen with a backlog of its own; the last call counts.
            listen(descriptor, VarlinkServer.backlog)
        case .path(let path, let mode):
            try removeStaleSocket(at: path)
            // NIO would remove whatever is at the path when it closes the socket.
            let file = try SocketFile(path: path, mode: mode)
            socketFile.withLock { $0 = file }
            channel = try bootstrap.withBoundSocket(file.descriptor).wait()
            listen(file.descriptor, VarlinkServer.backlog)
        }
        listener.withLock { $0 = channel }
    }

    /// Stops accepting, gives running calls `seconds` to be answered, then closes what is left.
    public func stop(drainSeconds seconds: Int) {
        try? listener.withLock { $0 }?.close().wait()
        socketFile.withLock { $0 }?.remove()
        let deadline = ContinuousClock.now + .seconds(seconds)
        while host.service.hasCallsInFlight, ContinuousClock.now < deadline { usleep(5_000) }
        usleep(20_000)
        for channel in children.withLock({ Array($0.values) }) { channel.close(promise: nil) }
        host.stop()
        try? group.syncShutdownGracefully()
        try? pool.syncShutdownGracefully()
    }

    /// Makes room for the socket where a server that is gone left one. A server that still answers keeps its path, and
    /// what is no socket is not ours to remove.
    private func removeStaleSocket(at path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw IOError(errnoCode: EEXIST, reason: path) }
        let attempt = Result { try VarlinkClient(path: path) }
        guard case .failure(VarlinkClientError.unreachable(_, ECONNREFUSED)) = attempt else {
            throw IOError(errnoCode: EADDRINUSE, reason: path)
        }
        unlink(path)
    }

    private func admit(_ channel: any Channel) throws {
        let peer = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor -> PeerCredentials in
            var peer = evidenced_peer()
            let code = evidenced_peer_credentials(descriptor, &peer)
            guard code == 0 else { throw IOError(errnoCode: code, reason: "reading SO_PEERCRED") }
            return PeerCredentials(pid: peer.pid, uid: peer.uid, gid: peer.gid)
        }
        guard let peer, let mailbox = mailboxes[ObjectIdentifier(channel.eventLoop)], let terms = host.admit(peer)
        else { throw ChannelError.operationUnsupported }
        let key = ObjectIdentifier(channel)
        children.withLock { $0[key] = channel }
        let end: Scheduled<Void>? =
            terms.lifeSeconds == 0
            ? nil : channel.eventLoop.scheduleTask(in: .seconds(terms.lifeSeconds)) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [self] _ in
            end?.cancel()
            host.release(terms)
            _ = children.withLock { $0.removeValue(forKey: key) }
        }
        try channel.pipeline.syncOperations.addHandler(SkinSelector(host: host, terms: terms, mailbox: mailbox))
    }
}
