import Glibc
import LedgerFormat
import Service
import Testing
import Varlink

@testable import Daemon

@Suite struct ConfigurationPrincipalTests {
    private static func access(_ text: String) throws -> AccessPolicy {
        try Configuration.parse(text, environment: [:]).access
    }

    private static func peer(_ uid: UInt32, _ gid: UInt32) -> PeerCredentials {
        PeerCredentials(pid: 1, uid: uid, gid: gid)
    }

    /// The kernel's number for all users and groups that a user namespace has none for.
    @Test func whoHasNoNumberIsNobody() throws {
        for item in ["uid:65534", "gid:65534"] {
            do {
                _ = try Self.access("principal.shop = \(item)\nrole.shop = submitter\n")
                Issue.record("\(item) was taken")
            } catch { #expect("\(error)".contains("65534")) }
        }
        let policy = AccessPolicy(principals: [
            Principal(name: "shop", uids: [65_534], gids: [33, 65_534], roles: [.submitter])
        ])
        for peer in [Self.peer(65_534, 65_534), Self.peer(65_534, 33), Self.peer(1_000, 65_534)] {
            #expect(policy.principal(of: peer) == nil)
        }
        #expect(policy.principal(of: Self.peer(1_000, 33))?.name == "shop")
        #expect(policy.principal(of: Self.peer(65_533, 33))?.name == "shop")
    }

    @Test func principalsRolesAndTypes() throws {
        let policy = try Self.access(
            """
            types.shop.v2 = evidence.*, contract.signed
            role.shop.v2 = submitter , auditor
            principal.shop.v2 = uid:1000, uid:1001 ,gid:33
            principal.watch = uid:7
            role.watch = reader,discloser,operator,auditor
            """
        )
        #expect(policy.principals.map(\.name) == ["shop.v2", "watch"])
        let shop = try #require(policy.principal(of: Self.peer(1001, 9)))
        #expect(shop.uids == [1000, 1001])
        #expect(shop.gids == [33])
        #expect(shop.roles == [.submitter, .auditor])
        #expect(shop.maySubmit("evidence.deposited"))
        #expect(shop.maySubmit("contract.signed"))
        #expect(!shop.maySubmit("contract.created"))
        #expect(policy.principal(of: Self.peer(5, 33))?.name == "shop.v2")
        #expect(policy.principal(of: Self.peer(7, 33))?.name == "watch")
        #expect(policy.principal(of: Self.peer(5, 5)) == nil)
        let watch = try #require(policy.principal(of: Self.peer(7, 7)))
        #expect(watch.types == nil)
        #expect(!watch.maySubmit("evidence.deposited"))
    }

    @Test func everyDomainButTheDaemonsMayBeNamed() throws {
        for domain in Set(EventCatalogue.all.map(\.domain)) {
            let text = "principal.a = uid:1\nrole.a = submitter\ntypes.a = \(domain).*"
            if EventCatalogue.reservedDomains.contains(domain) {
                #expect(throws: ConfigurationError.self) { try Self.access(text) }
            } else {
                #expect(try Self.access(text).principals.first?.types == ["\(domain).*"])
            }
        }
    }

    /// The system's own database read the naive way.
    @Test(arguments: [("user", "/etc/passwd"), ("group", "/etc/group")])
    func namesAreResolved(kind: String, path: String) throws {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        var seen: Set<UInt32> = []
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let fields = text.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count > 2, let id = UInt32(fields[2]), seen.insert(id).inserted,
                id != AccessPolicy.unmapped
            else { continue }
            let policy = try Self.access("principal.a = \(kind):\(fields[0])\nrole.a = reader")
            let principal = try #require(policy.principals.first)
            #expect(kind == "user" ? principal.uids == [id] : principal.gids == [id])
            #expect(kind == "user" ? principal.gids.isEmpty : principal.uids.isEmpty)
        }
        #expect(seen.contains(0))
    }

    private static let shop = "principal.shop = uid:1\nrole.shop = submitter\n"

    @Test(arguments: [
        ("principal.shop = uid:1", 1, "principal.shop", "role.shop"),
        ("role.shop = reader", 1, "role.shop", "no principal.shop"),
        (shop + "types.shap = evidence.*", 3, "types.shap", "no principal.shap"),
        ("principal.r = uid:1\nrole.r = reader\ntypes.r = evidence.*", 3, "types.r", "submitter"),
        ("principal.evidenced = uid:1", 1, "principal.evidenced", "daemon's own"),
        ("role.evidenced = reader", 1, "role.evidenced", "daemon's own"),
        ("principal.Shop = uid:1", 1, "principal.Shop", "lower-case"),
        ("principal. = uid:1", 1, "principal.", "lower-case"),
        ("principal.1a = uid:1", 1, "principal.1a", "lower-case"),
        ("principal.a = 1000", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:x", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:-1", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:+1", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:4294967295", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = uid:4294967296", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = pid:1", 1, "principal.a", "uid:NUMBER"),
        ("principal.a = user:no-such-user-here", 1, "principal.a", "no user"),
        ("principal.a = group:no-such-group-here", 1, "principal.a", "no group"),
        ("principal.a = user:", 1, "principal.a", "no user"),
        ("principal.a = uid:1,,uid:2", 1, "principal.a", "none of them empty"),
        ("principal.a = uid:1,", 1, "principal.a", "none of them empty"),
        ("principal.a =", 1, "principal.a", "none of them empty"),
        ("principal.a = uid:1, uid:1", 1, "principal.a", "already"),
        (shop + "principal.b = uid:1", 3, "principal.b", "principal.shop"),
        (shop + "principal.shop = uid:2", 3, "principal.shop", "line 1"),
        ("role.a = root", 1, "role.a", "submitter, reader, auditor, discloser, operator"),
        ("role.a = reader, reader", 1, "role.a", "twice"),
        (shop + "types.shop = evidence", 3, "types.shop", "neither"),
        (shop + "types.shop = *", 3, "types.shop", "neither"),
        (shop + "types.shop = .*", 3, "types.shop", "neither"),
        (shop + "types.shop = evidence.**", 3, "types.shop", "neither"),
        (shop + "types.shop = evidence.nothing", 3, "types.shop", "neither"),
        (shop + "types.shop = nothing.*", 3, "types.shop", "neither"),
        (shop + "types.shop = ledger.created", 3, "types.shop", "daemon alone"),
        (shop + "types.shop = evidence.*, evidence.*", 3, "types.shop", "twice"),
    ])
    func refusals(text: String, line: Int, key: String, rule: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try Self.access(text) }
        #expect(error.line == line)
        #expect(error.key == key)
        #expect(error.rule.contains(rule), "\(error)")
    }

    @Test func theLongestNameIsTheFormats() throws {
        let longest = String(repeating: "a", count: 64)
        let text = "principal.NAME = uid:1\nrole.NAME = reader"
        func named(_ name: String) -> String { text.split(separator: "NAME").joined(separator: name) }
        #expect(try Self.access(named(longest)).principals.first?.name == longest)
        #expect(throws: ConfigurationError.self) { try Self.access(named(longest + "a")) }
    }
}
