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
        "Deposit": [.submitter],
        "BeginUpload": [.submitter],
        "UploadStatus": [.submitter],
        "AbandonUpload": [.submitter],
        "Fetch": [.retriever],
        "CheckObjects": [.auditor, .operator],
    ]
    /// The interfaces of the methods that are not of `org.evidenced.Ledger`.
    private static let interfaces: [String: String] = [
        "Erase": privacyInterface, "Deposit": vaultInterface, "BeginUpload": vaultInterface,
        "UploadStatus": vaultInterface, "AbandonUpload": vaultInterface, "Fetch": vaultInterface,
        "CheckObjects": vaultInterface,
    ]
    static let privacyInterface = "org.evidenced.Privacy"
    static let vaultInterface = "org.evidenced.Vault"
    private static let resources: [(prefix: String, roles: Set<Role>)] = [
        ("/checkpoint", everyone), ("/tile/", [.reader, .auditor]), ("/metrics", [.operator]),
        (FetchWish.path, [.retriever]),
    ]

    /// The name of a method without that of its interface; nil where there is no such method.
    static func name(of qualified: String) -> String? {
        guard let dot = qualified.utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
        let name = String(Substring(qualified.utf8[qualified.utf8.index(after: dot)...]))
        let interface = interfaces[name] ?? LedgerErrors.interface
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
