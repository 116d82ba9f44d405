import JSON
public import Merkle

/// What an entry `system.recovered` says, the first one of an incarnation (`ledger-format.md` section 6).
public struct Recovery: Equatable, Sendable {
    /// Why a new incarnation began.
    public enum Reason: String, CaseIterable, Sendable {
        case backupRestored = "backup-restored"
        case lockLost = "lock-lost"
        case lockDamaged = "lock-damaged"
        case keyLost = "key-lost"
        case moved

        /// Whether the key in force before signs the recovery. Only a lost key cannot.
        public var isSigned: Bool { self != .keyLost }
    }

    /// Size and root of a tree.
    public struct Tree: Equatable, Sendable {
        public let size: UInt64
        public let root: Digest

        /// - Parameter size: entries of the tree (section 4).
        public init(size: UInt64, root: Digest) {
            self.size = size
            self.root = root
        }
    }

    /// Number of the incarnation that begins.
    public let incarnation: Int64
    /// Origin of its checkpoints.
    public let origin: String
    /// Its verification key, in the form of section 7.
    public let checkpointKey: String
    public let reason: Reason
    /// The tree taken over.
    public let tree: Tree
    /// What the old lock's checkpoint stated; nil where it could not be read.
    public let lock: Tree?
    /// The digest of the scopes whose keys are destroyed and of which no entry before says so; nil where there are none.
    public let erasedScopes: Digest?
    /// The 64 bytes of the signature of the key in force before; nil where the reason has none.
    public let succession: [UInt8]?

    /// Reads what the entry says.
    ///
    /// - Throws: `EventError` naming the first field of the body that breaks a rule of the type or of section 6's table,
    ///   as far as it shows in this entry alone: nothing is compared with the identity before or the tree.
    public init(_ entry: Entry) throws(EventError) {
        guard let type = EventCatalogue.type(named: "system.recovered"), entry.type.utf8.elementsEqual(type.name.utf8)
        else { throw EventError(field: "type", rule: "must be system.recovered") }
        try type.check(body: entry.body)
        let values = entry.body
        guard let incarnation = values["incarnation"]?.int, let origin = values["origin"]?.string,
            let key = values["checkpoint_key"]?.string,
            let reason = values["reason"]?.string.flatMap(Reason.init(rawValue:)),
            let size = values["size"]?.int.flatMap(UInt64.init(exactly:)),
            let root = values["root"]?.string.flatMap({ Digest(base64: $0) })
        else { throw EventError(field: "body", rule: "must hold all fields of the type") }
        self.incarnation = incarnation
        self.origin = origin
        checkpointKey = key
        self.reason = reason
        tree = Tree(size: size, root: root)
        let lockSize = values["lock_size"]?.int.flatMap(UInt64.init(exactly:))
        let lockRoot = values["lock_root"]?.string.flatMap { Digest(base64: $0) }
        switch (lockSize, lockRoot) {
        case (nil, nil): lock = nil
        case (let size?, let root?): lock = Tree(size: size, root: root)
        default:
            throw EventError(
                field: lockSize == nil ? "body.lock_size" : "body.lock_root",
                rule: "must be given together with \(lockSize == nil ? "lock_root" : "lock_size"), or both not at all"
            )
        }
        erasedScopes = values["erased_scopes"]?.string.flatMap { Digest(base64: $0) }
        succession = values["succession"]?.string.flatMap { Base64.decode($0) }
        guard (succession != nil) == reason.isSigned else {
            throw EventError(
                field: "body.succession",
                rule: reason.isSigned ? "must be given with this reason" : "must not be given with the reason key-lost"
            )
        }
    }

    /// The origin an incarnation of a ledger has; that of the first is the one without a number.
    ///
    /// - Parameter origin: that of any incarnation of the ledger.
    public static func origin(_ origin: String, incarnation: Int64) -> String {
        let mark = "/incarnation/"
        // By bytes: to a String, a slash and a mark behind it are one character.
        let base = origin.utf8.firstRange(of: mark.utf8).map { String(Substring(origin.utf8[..<$0.lowerBound])) }
        return (base ?? origin) + (incarnation == 1 ? "" : "\(mark)\(incarnation)")
    }

    /// What the key in force before signs of this recovery.
    ///
    /// - Parameter origin: that of the incarnation before.
    public func statement(from origin: String) -> [UInt8] {
        Succession(origin: origin, incarnation: incarnation, tree: tree, checkpointKey: checkpointKey).statement
    }

    /// Whether the signature is that of the key in force before; true of a recovery that must have none.
    ///
    /// - Parameter verifier: of that key, whose name is the origin of the incarnation before.
    public func isSigned(by verifier: some NoteVerifier) -> Bool {
        succession.map { verifier.isValid(signature: $0, over: statement(from: verifier.name)) } ?? true
    }
}
