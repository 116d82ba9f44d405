/// On whose account connections, bytes and work go: one principal, or all strangers together.
final class Share: Sendable {
    /// The principal's name; nil for the strangers.
    let name: String?

    init(name: String?) { self.name = name }

    /// Whether it is that of the peers without a principal.
    var isStrangers: Bool { name == nil }

    var key: ObjectIdentifier { ObjectIdentifier(self) }
}

/// What one connection may have, for whose it is.
struct ConnectionTerms: Sendable {
    let peer: PeerCredentials
    let share: Share
    /// Longest message or HTTP body in bytes.
    let messageBytes: Int
    /// Seconds a message may take to arrive once it has begun.
    let messageSeconds: Int64
    /// Seconds a connection may be silent; 0 for ever.
    let idleSeconds: Int64
    /// Seconds a client may take to read the last answer of a connection.
    var partingSeconds: Int64 { idleSeconds > 0 ? idleSeconds : messageSeconds }
    /// Seconds a connection may last whatever it does; 0 for ever.
    let lifeSeconds: Int64
    /// How much of what was refused is still read, so that the client gets to see why, in bytes.
    let drainBytes: Int
    let workers: Workers
    /// For pieces of bodies.
    let bodyWorkers: Workers
    /// The connection's socket, to be looked at while it is open; -1 where there is none.
    var descriptor: Int32 = -1
}
