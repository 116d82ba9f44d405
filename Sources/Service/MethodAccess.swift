/// Which roles may call which method; what is not listed here nobody may call.
enum MethodAccess {
    private static let everyone = Set(Role.allCases)
    private static let roles: [String: Set<Role>] = [
        "Append": [.submitter],
        "NewIds": [.submitter],
        "GetEntry": [.reader, .auditor],
        "ListEntries": [.reader, .auditor],
        "FindByDigest": [.reader],
        "Watch": [.reader, .auditor],
        "GetCheckpoint": everyone,
        "ProveInclusion": [.submitter, .reader, .auditor],
        "ProveConsistency": [.submitter, .reader, .auditor],
        "Open": [.discloser],
        "Status": everyone,
        "Backup": [.operator],
        "ConfirmClock": [.operator],
    ]
    private static let resources: [(prefix: String, roles: Set<Role>)] = [
        ("/checkpoint", everyone), ("/tile/", [.reader, .auditor]), ("/metrics", [.operator]),
    ]

    static func isKnown(_ method: String) -> Bool { roles[method] != nil }

    static func allows(_ method: String, _ principal: Principal) -> Bool {
        !(roles[method] ?? []).isDisjoint(with: principal.roles)
    }

    /// Whether a principal may GET a path; nil where nothing is at the path.
    static func allows(path: String, _ principal: Principal?) -> Bool? {
        guard let resource = resources.first(where: { path.utf8.starts(with: $0.prefix.utf8) }) else { return nil }
        return principal.map { !resource.roles.isDisjoint(with: $0.roles) } ?? false
    }
}
