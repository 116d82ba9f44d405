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

/// What a GET is answered with.
public struct HTTPResource: Sendable {
    public let status: Int
    public let contentType: String
    public let body: [UInt8]
    /// Where the status is 405: which methods there are (RFC 9110 section 10.2.1).
    var allow: String?

    public init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    static func text(_ status: Int, _ text: String, allow: String? = nil) -> HTTPResource {
        var resource = HTTPResource(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
        resource.allow = allow
        return resource
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

    /// Whether calls were handed over that are not answered yet.
    var hasCallsInFlight: Bool { get }

    /// Answers a read-only GET; runs on the server's worker threads.
    func get(_ path: String, peer: PeerCredentials) -> HTTPResource
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
    /// Longer messages and bodies are read by workers, so that those of other connections don't wait for them.
    var promptBytes = 4 << 10
    /// Longer bodies of requests that are refused are not waited for.
    var shortBodyBytes = 64 << 10

    public init() {}
}
