/// Which roles may call which method; what is not listed here nobody may call.
enum MethodAccess {
    private static let everyone = Set(Role.allCases)
    private static let roles: [String: Set<Role>] = [
        "Append": [.submitter],
        "NewIds": [.submitter, .eraser],
        "GetEntry": [.reader, .auditor, .eraser],
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
        "Erase": [.eraser],
    ]
    /// The methods of `org.evidenced.Privacy`; all others are of `org.evidenced.Ledger`.
    private static let ofPrivacy: Set<String> = ["Erase"]
    static let privacyInterface = "org.evidenced.Privacy"
    private static let resources: [(prefix: String, roles: Set<Role>)] = [
        ("/checkpoint", everyone), ("/tile/", [.reader, .auditor]), ("/metrics", [.operator]),
    ]

    /// The name of a method without that of its interface; nil where there is no such method.
    static func name(of qualified: String) -> String? {
        guard let dot = qualified.utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
        let name = String(Substring(qualified.utf8[qualified.utf8.index(after: dot)...]))
        let interface = ofPrivacy.contains(name) ? privacyInterface : LedgerErrors.interface
        guard roles[name] != nil, qualified.utf8[..<dot].elementsEqual(interface.utf8) else { return nil }
        return name
    }

    static func allows(_ method: String, _ principal: Principal) -> Bool {
        !(roles[method] ?? []).isDisjoint(with: principal.roles)
    }

    /// Whether a principal may GET a path; nil where nothing is at the path.
    static func allows(path: String, _ principal: Principal?) -> Bool? {
        guard let resource = resources.first(where: { path.utf8.starts(with: $0.prefix.utf8) }) else { return nil }
        return principal.map { !resource.roles.isDisjoint(with: $0.roles) } ?? false
    }
}
