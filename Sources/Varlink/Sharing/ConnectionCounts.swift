/// Who holds how many connections. Principals can't take one another's reserve, and strangers can't take theirs at all.
struct ConnectionCounts {
    private let limits: VarlinkLimits
    /// Principals there are.
    private let principals: Int
    private var users: [UInt32: Int] = [:]
    private var shares: [ObjectIdentifier: Int] = [:]
    private var ofPrincipals = 0
    private var ofStrangers = 0

    init(limits: VarlinkLimits, principals: Int) {
        self.limits = limits
        self.principals = principals
    }

    /// Connections open now.
    var total: Int { ofPrincipals + ofStrangers }

    /// What of the connections is each principal's alone.
    private var reserve: Int { min(limits.reservedConnections, limits.connections / max(1, principals)) }

    /// Counts a connection in, or refuses it where its user, its share, or all have too many.
    mutating func admit(_ peer: PeerCredentials, _ share: Share) -> Bool {
        if share.isStrangers {
            guard ofStrangers < limits.strangerConnections else { return false }
            ofStrangers += 1
            return true
        }
        let own = shares[share.key, default: 0]
        guard users[peer.uid, default: 0] < limits.connectionsPerUser, ofPrincipals < limits.connections,
            own < reserve || ofPrincipals + openReserve(besides: share) < limits.connections
        else { return false }
        ofPrincipals += 1
        users[peer.uid, default: 0] += 1
        shares[share.key] = own + 1
        return true
    }

    mutating func release(_ peer: PeerCredentials, _ share: Share) {
        if share.isStrangers {
            ofStrangers -= 1
            return
        }
        ofPrincipals -= 1
        users[peer.uid, default: 1] -= 1
        if users[peer.uid] == 0 { users[peer.uid] = nil }
        shares[share.key, default: 1] -= 1
        if shares[share.key] == 0 { shares[share.key] = nil }
    }

    /// Connections kept for other principals that don't have them now.
    private func openReserve(besides share: Share) -> Int {
        let others = shares.filter { $0.key != share.key }
        let absent = principals - 1 - others.count
        return others.values.reduce(0) { $0 + max(0, reserve - $1) } + max(0, absent) * reserve
    }
}
