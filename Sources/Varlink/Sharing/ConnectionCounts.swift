/// Who holds how many connections. Principals can't take one another's reserve, and strangers can't take theirs at all.
struct ConnectionCounts {
    private let limits: VarlinkLimits
    private var users: [UInt32: Int] = [:]
    private var ofPrincipals: SharedPlaces
    private var ofStrangers = 0

    /// - Parameter principals: how many there are.
    init(limits: VarlinkLimits, principals: Int) {
        self.limits = limits
        ofPrincipals = SharedPlaces(
            limit: limits.connections,
            reserve: limits.reservedConnections,
            principals: principals
        )
    }

    /// Connections open now.
    var total: Int { ofPrincipals.taken + ofStrangers }

    /// Counts a connection in, or refuses it where its user, its share, or all have too many.
    mutating func admit(_ peer: PeerCredentials, _ share: Share) -> Bool {
        if share.isStrangers {
            guard ofStrangers < limits.strangerConnections else { return false }
            ofStrangers += 1
            return true
        }
        guard users[peer.uid, default: 0] < limits.connectionsPerUser, ofPrincipals.take(share) else { return false }
        users[peer.uid, default: 0] += 1
        return true
    }

    mutating func release(_ peer: PeerCredentials, _ share: Share) {
        if share.isStrangers {
            ofStrangers -= 1
            return
        }
        ofPrincipals.giveBack(share)
        users[peer.uid, default: 1] -= 1
        if users[peer.uid] == 0 { users[peer.uid] = nil }
    }
}
