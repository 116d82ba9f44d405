import Merkle
public import OpenSSL

/// What a slot of `root.key` says: the key of the tree's top node, wrapped under the master key, and which state of the
/// tree it opens.
struct RootRecord: Equatable {
    static let slotBytes = 4_096
    private static let header = "evidenced root key v1"

    /// The tree's id, 32 hex digits.
    let tree: String
    let suite: CipherSuite
    /// Counts the changes of the root key.
    let epoch: UInt64
    /// Id of the master key it is wrapped under.
    let master: String
    let wrapped: [UInt8]

    /// The slot: lines of text, zeros, and the SHA-256 of all before it.
    var slot: [UInt8] {
        let text = """
            \(RootRecord.header)
            tree \(tree)
            suite \(suite.rawValue)
            epoch \(epoch)
            master \(master)
            root \(Base64.encode(wrapped))

            """
        var slot = Array(text.utf8)
        slot += [UInt8](repeating: 0, count: RootRecord.slotBytes - 32 - slot.count)
        SHA256Hasher().hash(slot).append(to: &slot)
        return slot
    }

    init(tree: String, suite: CipherSuite, epoch: UInt64, master: String, wrapped: [UInt8]) {
        self.tree = tree
        self.suite = suite
        self.epoch = epoch
        self.master = master
        self.wrapped = wrapped
    }

    /// The record of an intact slot, one that is written as `slot` writes it.
    init?(slot: [UInt8]) {
        guard slot.count == RootRecord.slotBytes,
            let text = String(validating: slot.prefix { $0 != 0 }, as: UTF8.self)
        else { return nil }
        let lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { String(Substring($0)) }
        func value(_ line: Int, _ name: String) -> String? {
            let prefix = name + " "
            guard lines[line].utf8.starts(with: prefix.utf8) else { return nil }
            return String(Substring(lines[line].utf8.dropFirst(prefix.utf8.count)))
        }
        guard lines.count == 7, lines[0].utf8.elementsEqual(RootRecord.header.utf8), let tree = value(1, "tree"),
            let suite = value(2, "suite").flatMap(CipherSuite.init(rawValue:)),
            let epoch = value(3, "epoch").flatMap({ UInt64($0) }), epoch < .max,
            let master = value(4, "master"), let wrapped = value(5, "root").flatMap({ Base64.decode($0) })
        else { return nil }
        self.init(tree: tree, suite: suite, epoch: epoch, master: master, wrapped: wrapped)
        guard self.slot == slot else { return nil }
    }

    /// What the root key is bound to.
    static func context(tree: String, epoch: UInt64) -> [UInt8] {
        Array("evidenced/root-key/v1\n\(tree)\n\(epoch)".utf8)
    }
}

/// The key all others stand under: a secret of the system's (a credential, or a file of mode 0600), never stored with them.
public struct MasterKey: Sendable {
    private let secret: SecretBytes
    /// Tells master keys apart, and nothing else: 16 hex digits.
    public let id: String

    /// - Parameter secret: 32 bytes.
    public init(_ secret: SecretBytes) throws {
        self.secret = secret
        let id = try KeyDerivation.hkdfSHA256(key: secret, info: Array("evidenced/master-key/id/v1".utf8), count: 8)
        self.id = id.withUnsafeBytes { Hex.encode(Array($0)) }
    }

    /// Wraps root keys of trees of a suite.
    func wrapping(_ suite: CipherSuite) throws -> CipherKey {
        try suite.key(from: secret, info: Array("evidenced/master-key/wrap/v1".utf8))
    }
}

extension RootRecord {
    /// A record that holds a root key.
    static func wrapping(
        _ root: CipherKey,
        tree: String,
        epoch: UInt64,
        _ master: MasterKey,
        _ wrapper: SuiteCipher
    ) throws -> RootRecord {
        var wrapped: [UInt8] = []
        let context = context(tree: tree, epoch: epoch)
        try wrapper.seal(root.secret, key: master.wrapping(wrapper.suite), context: context.span, to: &wrapped)
        return RootRecord(tree: tree, suite: wrapper.suite, epoch: epoch, master: master.id, wrapped: wrapped)
    }

    /// The root key it holds.
    ///
    /// - Throws: `KeyRefusal`, `.otherMaster` where it is wrapped under another master key.
    func unwrap(_ master: MasterKey, _ wrapper: SuiteCipher) throws -> CipherKey {
        guard self.master.utf8.elementsEqual(master.id.utf8) else {
            throw KeyRefusal(
                .otherMaster,
                "the root key is wrapped under the master key \(self.master), and \(master.id) is given",
                advice: "Give the keyring the tree was made or rotated with"
            )
        }
        let wrapping = try master.wrapping(wrapper.suite)
        let context = RootRecord.context(tree: tree, epoch: epoch)
        do {
            return try wrapped.withUnsafeBytes { try wrapper.openKey($0, key: wrapping, context: context.span) }
        } catch {
            throw KeyRefusal(
                .damaged,
                "the root key of epoch \(epoch) does not open under the master key",
                advice: "Restore the key backup"
            )
        }
    }
}
