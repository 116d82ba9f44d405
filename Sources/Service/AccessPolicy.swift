public import Varlink

/// What a principal may do. Roles add up; without one, nothing is allowed but asking what the service is.
public enum Role: String, CaseIterable, Sendable {
    /// Appends events of its types and gets fresh ids.
    case submitter
    /// Reads entries, lists, follows the log and looks documents up.
    case reader
    /// Asks for checkpoints, proofs and tiles.
    case auditor
    /// Opens claims, that is, reads personal data.
    case discloser
    /// Asks for the state, the metrics and for backups.
    case `operator`
    /// Has claims erased for good.
    case eraser
    /// Takes documents out of custody, that is, reads personal data.
    case retriever
}

/// A configured client: a name that stands in the ledger as the submitter, who may use it, and what it may do.
public struct Principal: Sendable, Equatable {
    public let name: String
    public let uids: Set<UInt32>
    /// Primary groups of the connecting process.
    public let gids: Set<UInt32>
    public let roles: Set<Role>
    /// What it may submit: exact type names, or `domain.*`; nil for every type that is not the daemon's own.
    public let types: [String]?

    public init(name: String, uids: Set<UInt32>, gids: Set<UInt32>, roles: Set<Role>, types: [String]? = nil) {
        self.name = name
        self.uids = uids
        self.gids = gids
        self.roles = roles
        self.types = types
    }

    /// Whether it may submit events of a type.
    public func maySubmit(_ type: String) -> Bool {
        guard roles.contains(.submitter) else { return false }
        guard let types else { return true }
        return types.contains { pattern in
            pattern.utf8.elementsEqual(type.utf8)
                || pattern.utf8.suffix(2).elementsEqual(".*".utf8) && type.utf8.starts(with: pattern.utf8.dropLast())
        }
    }
}

/// Who the kernel says connected, mapped to a principal. Whoever is not configured has no role at all.
public struct AccessPolicy: Sendable {
    /// What the kernel says of users and groups it has no number for in this user namespace (overflowuid, overflowgid):
    /// all of them, so that it means nobody.
    public static let unmapped: UInt32 = 65_534
    public let principals: [Principal]

    public init(principals: [Principal]) { self.principals = principals }

    /// The first principal that names the peer's user, else the first that names its primary group. An unmapped user is
    /// none, whatever its group.
    public func principal(of peer: PeerCredentials) -> Principal? {
        guard peer.uid != AccessPolicy.unmapped else { return nil }
        return principals.first { $0.uids.contains(peer.uid) }
            ?? principals.first { peer.gid != AccessPolicy.unmapped && $0.gids.contains(peer.gid) }
    }
}
