import LedgerFormat
import Service

/// Collects the `principal.`, `role.` and `types.` lines, and makes the access policy of them.
struct PrincipalReader {
    private struct Members {
        let name: String
        let line: Int
        var uids: Set<UInt32> = []
        var gids: Set<UInt32> = []
    }

    /// The name under which the daemon records its own events.
    private static let reservedName = "evidenced"

    private var principals: [Members] = []
    private var roles: [String: (line: Int, roles: Set<Role>)] = [:]
    private var types: [String: (line: Int, types: [String])] = [:]
    /// Which principal a user or group already leads to.
    private var userOwners: [UInt32: String] = [:]
    private var groupOwners: [UInt32: String] = [:]

    /// Reads a line, or returns false where its key is not of a principal.
    mutating func read(key: String, value: String, line: Int) throws(BrokenRule) -> Bool {
        let bytes = key.utf8
        guard let dot = bytes.firstIndex(of: UInt8(ascii: ".")) else { return false }
        let name = String(Substring(bytes[bytes.index(after: dot)...]))
        switch Substring(bytes[..<dot]) {
        case "principal":
            try check(name)
            try readMembers(of: name, try PrincipalReader.items(of: value), line: line)
        case "role":
            try check(name)
            roles[name] = (line, try PrincipalReader.roles(try PrincipalReader.items(of: value)))
        case "types":
            try check(name)
            types[name] = (line, try PrincipalReader.types(try PrincipalReader.items(of: value)))
        default:
            return false
        }
        return true
    }

    /// The policy of all lines read.
    func policy() throws(ConfigurationError) -> AccessPolicy {
        let names = Set(principals.map(\.name))
        for (kind, given) in [("role", roles.mapValues(\.line)), ("types", types.mapValues(\.line))] {
            // In the file's order, so that the same file is always refused with the same words.
            for (name, line) in given.sorted(by: { $0.value < $1.value }) where !names.contains(name) {
                throw ConfigurationError(line: line, key: "\(kind).\(name)", rule: "there is no principal.\(name)")
            }
        }
        var policy: [Principal] = []
        for principal in principals {
            let name = principal.name
            guard let roles = roles[name]?.roles else {
                throw ConfigurationError(
                    line: principal.line,
                    key: "principal.\(name)",
                    rule: "there is no role.\(name)"
                )
            }
            if let types = types[name], !roles.contains(.submitter) {
                throw ConfigurationError(
                    line: types.line,
                    key: "types.\(name)",
                    rule: "role.\(name) does not hold submitter"
                )
            }
            policy.append(
                Principal(
                    name: name,
                    uids: principal.uids,
                    gids: principal.gids,
                    roles: roles,
                    types: types[name]?.types
                )
            )
        }
        return AccessPolicy(principals: policy)
    }

    private func check(_ name: String) throws(BrokenRule) {
        guard SubmitterName.isValid(name) else {
            throw BrokenRule(
                "a principal's name must be a lower-case letter, then lower-case letters, digits, '-', '_' or '.', "
                    + "at most \(FormatLimits.submitterBytes)"
            )
        }
        guard !name.utf8.elementsEqual(PrincipalReader.reservedName.utf8) else {
            throw BrokenRule("the name \(name) is the daemon's own")
        }
    }

    private mutating func readMembers(of name: String, _ items: [String], line: Int) throws(BrokenRule) {
        var members = Members(name: name, line: line)
        for item in items {
            let parts = item.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
                .map { String(Substring($0)) }
            guard parts.count == 2 else { throw PrincipalReader.memberRule(item) }
            let isUser: Bool
            let id: UInt32
            switch parts[0] {
            case "uid", "gid":
                // The kernel uses the highest value for "nobody in particular".
                guard parts[1].utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt32(parts[1]),
                    number < UInt32.max
                else { throw PrincipalReader.memberRule(item) }
                (isUser, id) = (parts[0] == "uid", number)
            case "user":
                guard let uid = try AccountDatabase.user(named: parts[1]) else {
                    throw BrokenRule("there is no user \(parts[1])")
                }
                (isUser, id) = (true, uid)
            case "group":
                guard let gid = try AccountDatabase.group(named: parts[1]) else {
                    throw BrokenRule("there is no group \(parts[1])")
                }
                (isUser, id) = (false, gid)
            default:
                throw PrincipalReader.memberRule(item)
            }
            guard id != AccessPolicy.unmapped else {
                throw BrokenRule(
                    "\(item) is \(id), which the kernel says of everybody it has no number for: it can't be a principal's"
                )
            }
            let owner = isUser ? userOwners.updateValue(name, forKey: id) : groupOwners.updateValue(name, forKey: id)
            if let owner { throw BrokenRule("\(item) already belongs to principal.\(owner)") }
            if isUser { members.uids.insert(id) } else { members.gids.insert(id) }
        }
        principals.append(members)
    }

    private static func memberRule(_ item: String) -> BrokenRule {
        BrokenRule("'\(item)' is not one of user:NAME, uid:NUMBER, group:NAME, gid:NUMBER")
    }

    private static func roles(_ items: [String]) throws(BrokenRule) -> Set<Role> {
        var roles: Set<Role> = []
        for item in items {
            guard let role = Role(rawValue: item) else {
                let all = Role.allCases.map(\.rawValue).joined(separator: ", ")
                throw BrokenRule("'\(item)' is not one of \(all)")
            }
            guard roles.insert(role).inserted else { throw BrokenRule("'\(item)' is given twice") }
        }
        return roles
    }

    private static func types(_ items: [String]) throws(BrokenRule) -> [String] {
        let domains = Set(EventCatalogue.all.map(\.domain))
        for (offset, item) in items.enumerated() {
            let domain = String(Substring(item.utf8.prefix { $0 != UInt8(ascii: ".") }))
            guard item == domain + ".*" ? domains.contains(domain) : EventCatalogue.type(named: item) != nil else {
                throw BrokenRule("'\(item)' is neither an event type nor all of a domain, as in evidence.*")
            }
            guard !EventCatalogue.reservedDomains.contains(domain) else {
                throw BrokenRule("'\(item)': events of \(domain) are recorded by the daemon alone")
            }
            guard !items[..<offset].contains(item) else { throw BrokenRule("'\(item)' is given twice") }
        }
        return items
    }

    private static func items(of value: String) throws(BrokenRule) -> [String] {
        var items: [String] = []
        let blanks: [UInt8] = [0x20, 0x09]
        for part in value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let first = part.firstIndex(where: { !blanks.contains($0) }),
                let last = part.lastIndex(where: { !blanks.contains($0) })
            else { throw BrokenRule("must be values separated by commas, none of them empty") }
            items.append(String(Substring(part[first...last])))
        }
        return items
    }
}
