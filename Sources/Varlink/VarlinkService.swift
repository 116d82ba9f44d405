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

    public init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    static func text(_ status: Int, _ text: String) -> HTTPResource {
        HTTPResource(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }
}

/// What stands behind the socket. Both skins end in the same calls.
public protocol VarlinkService: Sendable {
    var vendor: String { get }
    var product: String { get }
    var version: String { get }
    var url: String { get }
    var interfaces: [VarlinkInterface] { get }

    /// Answers a call, now or later, from any thread. Runs on an event loop and must not block.
    func handle(_ call: VarlinkCall)

    /// Whether calls were handed over that are not answered yet.
    var hasCallsInFlight: Bool { get }

    /// Answers a read-only GET; runs on the server's worker threads.
    func get(_ path: String, peer: PeerCredentials) -> HTTPResource
}

/// The sizes a client can meet.
public struct VarlinkLimits: Sendable {
    /// Longest message or HTTP body in bytes.
    public var messageBytes = 16 << 20
    /// Connections at once.
    public var connections = 4_096
    /// Connections at once of one user.
    public var connectionsPerUser = 1_024
    /// Pipelined calls of one connection that run at once; further ones are not read.
    public var inFlight = 64
    /// Seconds a message may take to arrive once it has begun.
    public var messageSeconds: Int64 = 30
    /// Seconds a connection may be silent; 0 for ever.
    public var idleSeconds: Int64 = 0

    public init() {}
}
