/// Who connected, as the kernel saw it at connect() (SO_PEERCRED).
public struct PeerCredentials: Sendable, Hashable {
    public let pid: Int32
    public let uid: UInt32
    public let gid: UInt32

    public init(pid: Int32, uid: UInt32, gid: UInt32) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}

/// An interface a service implements, with its IDL text.
public struct VarlinkInterface: Sendable {
    public let name: String
    public let description: String

    public init(name: String, description: String) {
        self.name = name
        self.description = description
    }
}

/// What stands behind the socket. Both skins end in the same calls.
public protocol VarlinkService: Sendable {
    var vendor: String { get }
    var product: String { get }
    var version: String { get }
    var url: String { get }
    var interfaces: [VarlinkInterface] { get }

    /// How many principals there are, that is, how many names `principal(of:)` may give.
    var principals: Int { get }

    /// On whose account a peer's connections, bytes and work go; nil for a stranger, whom all strangers share with.
    func principal(of peer: PeerCredentials) -> String?

    /// Why a peer may not call a method of the service's interfaces at all, such as that there is none; nil where the
    /// parameters decide. Asked before they are read, or even received.
    func refusal(of method: String, for peer: PeerCredentials) -> VarlinkError?

    /// Answers a call that `refusal(of:for:)` lets through, now or later, from any thread. Runs on an event loop, or on
    /// a worker where the parameters are long, and must not block.
    func handle(_ call: VarlinkCall)

    /// Whether a method of the service's interfaces has a body beside its parameters and is answered by
    /// `VarlinkCall.upgrade`. It is handed over only where its caller says `upgrade`, and no other is where he does.
    func upgrades(_ method: String) -> Bool

    /// Whether calls were handed over that are not answered yet.
    var hasCallsInFlight: Bool { get }

    /// Answers a read-only GET or HEAD; runs on the server's worker threads.
    ///
    /// - Parameters:
    ///   - path: as it stands in the request, from its first slash on; nothing is decoded.
    ///   - query: what stands behind the question mark, undecoded, for `HTTPQuery` to read; nil where there is none.
    func get(_ path: String, query: String?, peer: PeerCredentials) -> HTTPResource

    /// Whether something may be put to a path at all, whoever asks; where not, a PUT is answered with 405.
    func takesBody(at path: String) -> Bool

    /// What takes the body of a PUT to a path that takes one, or why it is not taken, which the client is told at once.
    /// Asked by the request's head alone; runs on an event loop and must not block. Strangers get no body and are not
    /// asked about.
    func receive(_ request: BodyRequest, peer: PeerCredentials) -> Result<any ByteSink, VarlinkError>
}

/// The limits a client can meet.
public struct VarlinkLimits: Sendable {
    /// Longest message or HTTP body in bytes.
    public var messageBytes = 16 << 20
    /// Bytes of calls being received or answered at once, of all connections together.
    public var inputBytes = 64 << 20
    /// Connections of principals at once.
    public var connections = 4_096
    /// Connections at once of one user.
    public var connectionsPerUser = 1_024
    /// How many of the connections are each principal's alone.
    public var reservedConnections = 16
    /// Connections at once of all users without a principal together, beside those of principals.
    public var strangerConnections = 64
    /// Longest message or HTTP body of a user without a principal, in bytes.
    public var strangerMessageBytes = 4 << 10
    /// Seconds a connection of a user without a principal may last; 0 for ever.
    public var strangerSeconds: Int64 = 10
    /// Pipelined calls of one connection that run at once; further ones are not read.
    public var inFlight = 64
    /// Seconds a message may take to arrive once it has begun.
    public var messageSeconds: Int64 = 30
    /// Seconds a connection may be silent; 0 for ever.
    public var idleSeconds: Int64 = 0
    /// Bodies under way at once, of both directions and all connections. Each holds up to 1 MiB beside what its sink or
    /// source does.
    public var bodies = 128
    /// Bodies under way at once of one principal.
    public var bodiesPerPrincipal = 64
    /// How many of the bodies are each principal's alone.
    public var reservedBodies = 4
    /// Seconds the other end of a body may stand still; 0 for ever.
    public var bodyIdleSeconds: Int64 = 30
    /// How many bytes of a body must go in a minute in which the other end is waited for.
    public var bodyMinuteBytes = 64 << 10
    /// Longer messages and bodies are read by workers, so that those of other connections don't wait for them.
    var promptBytes = 4 << 10
    /// Longer bodies of requests that are refused are not waited for.
    var shortBodyBytes = 64 << 10

    public init() {}
}
