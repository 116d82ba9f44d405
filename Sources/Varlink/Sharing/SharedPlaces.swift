/// Places that principals share: bounded together, and some of them each principal's alone, so that no other can lock it
/// out.
struct SharedPlaces {
    /// How many there are.
    private let limit: Int
    /// How many of them are each principal's alone.
    private let reserve: Int
    /// Principals there are.
    private let principals: Int
    private var shares: [ObjectIdentifier: Int] = [:]
    /// Places taken now.
    private(set) var taken = 0

    /// - Parameter reserve: divided where it is more than there are places for.
    init(limit: Int, reserve: Int, principals: Int) {
        self.limit = limit
        self.reserve = min(reserve, limit / max(1, principals))
        self.principals = principals
    }

    /// Places a principal has now.
    func taken(by share: Share) -> Int { shares[share.key, default: 0] }

    /// Takes a place, where what others may still claim leaves one.
    mutating func take(_ share: Share) -> Bool {
        let own = taken(by: share)
        guard taken < limit, own < reserve || taken + openReserve(besides: share) < limit else { return false }
        taken += 1
        shares[share.key] = own + 1
        return true
    }

    mutating func giveBack(_ share: Share) {
        taken -= 1
        shares[share.key, default: 1] -= 1
        if shares[share.key] == 0 { shares[share.key] = nil }
    }

    /// Places kept for other principals that don't have them now.
    private func openReserve(besides share: Share) -> Int {
        let others = shares.filter { $0.key != share.key }
        let absent = principals - 1 - others.count
        return others.values.reduce(0) { $0 + max(0, reserve - $1) } + max(0, absent) * reserve
    }
}
