import Files
import Glibc
import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// What an operator does with the key tree: wraps it anew, copies it, puts a copy in its place.
public enum KeyCare {
    private static let rotatedSuffix = ".rotated"
    private static let restoringSuffix = ".restoring"

    /// Gives the key tree a new root key under a new master key, and the keyring that master key. What opened the tree
    /// before, opens nothing any more. No daemon may be running.
    ///
    /// The new keyring waits beside the old one, durably, until the tree is wrapped under it; a rotation that was cut off is
    /// ended by the next call.
    ///
    /// - Returns: the tree's epoch.
    /// - Throws: `StartupRefusal`; `SystemError`, `KeyFileError`, `CommitError`, after which it can be called again.
    public static func rotate(at locations: LedgerLocations, keyring path: String) throws -> UInt64 {
        try LedgerCreation.holding(keyring: path) {
            let target = try FileSystem.target(of: path)
            let staged = target + rotatedSuffix
            let keyring = try Keyring.load(path: path)
            let next: Keyring
            if FileSystem.isTaken(staged) {
                next = try Keyring.load(path: staged)
            } else {
                next = try keyring.withFreshMaster()
                try next.save(path: staged)
            }
            let epoch = try ClaimKeys.named { try wrap(locations.keys, keyring, next) }
            guard rename(staged, target) == 0 else { throw SystemError("replacing \(target)") }
            try FileSystem.syncDirectory(FileSystem.parent(of: target))
            return epoch
        }
    }

    private static func wrap(_ directory: String, _ keyring: Keyring, _ next: Keyring) throws -> UInt64 {
        do {
            let tree = try KeyTree(directory: directory, master: keyring.masterKey())
            try tree.rotate(to: next.masterKey())
            return tree.epoch
        } catch let refusal as KeyRefusal where refusal.code == .otherMaster {
            // That may be what a call that was cut off came to.
            return try KeyTree(directory: directory, master: next.masterKey()).epoch
        }
    }

    /// Copies the key tree to a directory, while a daemon may be using it: a copy that opens, or none.
    ///
    /// - Parameter target: absolute path that must be empty or not exist; its parent must.
    /// - Returns: the tree's epoch.
    /// - Throws: `StartupRefusal`; `LedgerError` for the path, `.busy` where the tree changed again and again; `SystemError`,
    ///   `LMDBError`.
    public static func backup(_ directory: String, to target: String) throws -> UInt64 {
        for _ in 0..<10 {
            let copy = try BackupDirectory(target, below: nil)
            defer { copy.remove() }
            guard let made = try ClaimKeys.named({ try KeyTree.copy(directory, to: copy.data.number) }) else {
                continue
            }
            try FileSystem.create(copy.partialPath + "/root.key", made.root, mode: 0o600)
            try copy.finish()
            return made.epoch
        }
        throw LedgerError.busy
    }

    /// What putting a copy of the key tree in place came to.
    public struct Restored: Sendable {
        public let epoch: UInt64
        /// Erasures that were done again, for the copy was from before them.
        public let erasedAgain: Int
        /// Scopes whose keys the copy doesn't have: what is sealed under them is lost.
        public let lostScopes: Int
    }

    /// Puts a copy of the key tree in the place of what there is, of which a copy stays. No daemon may be running.
    ///
    /// - Parameters:
    ///   - source: the directory of the copy, which is left as it is.
    ///   - isOlderTaken: whether a copy from before erasures will do: they are done again, and what was sealed under keys
    ///     it doesn't have is lost.
    /// - Throws: `StartupRefusal`, `.keysOlder` with what would be lost; what else `KeyTree` throws. Nothing is changed then.
    public static func restore(
        from source: String,
        at locations: LedgerLocations,
        keyring: Keyring,
        isOlderTaken: Bool
    ) throws -> Restored {
        let hold = try StoreHold(directory: locations.store)
        defer { withExtendedLifetime(hold) {} }
        let (environment, schema) = try StoreSchema.open(
            directory: locations.store,
            mapBytes: 16 << 20,
            readers: 126,
            create: false
        )
        let stored = try environment.read { try StoredKeys($0, schema) }
        try SucceedingKeys.settle(locations.keys, id: stored.tree.id)
        let directory = try FileSystem.target(of: locations.keys)
        let staged = directory + restoringSuffix
        try discard(staged)
        try FileSystem.makeDirectory(staged)
        for name in ["data.mdb", "root.key"] {
            let bytes = try FileSystem.read(source + "/" + name, limit: 1 << 40)
            try FileSystem.create(staged + "/" + name, bytes, mode: 0o600)
        }
        var restored: Restored?
        do {
            let tree = try ClaimKeys.named { try KeyTree(directory: staged, master: keyring.masterKey()) }
            try ClaimKeys.require(tree, stored, source)
            restored = try mend(tree, environment, schema, stored, isOlderTaken: isOlderTaken)
        } catch {
            try discard(staged)
            throw error
        }
        guard let restored else { preconditionFailure("it was set or thrown") }
        try SucceedingKeys.replace(directory, by: staged, suffix: ".replaced")
        return restored
    }

    /// Does again in an older tree what the store says was erased.
    private static func mend(
        _ tree: KeyTree,
        _ environment: Environment,
        _ schema: StoreSchema,
        _ stored: StoredKeys,
        isOlderTaken: Bool
    ) throws -> Restored {
        var erased: [UInt64] = []
        var entries: Set<UInt64> = []
        var lost = 0
        let hasher = SHA256Hasher()
        let slots = tree.slots
        try environment.read { transaction in
            let areLinked = try schema.scopes.forEach(transaction) { scope, content in
                switch StoreKey.readStream(Array(scope)).flatMap({ ScopeRow(content, of: $0, hasher) }) {
                case .slot(let slot)? where slot >= slots: lost += 1
                case .erased(let entry, let slot?)? where try tree.shape.isErased(slot) == false:
                    erased.append(slot)
                    if let entry { entries.insert(entry) }
                default: break
                }
            }
            guard areLinked else { throw schema.scopes.damage }
        }
        guard isOlderTaken || tree.epoch >= stored.epoch && lost == 0 else {
            let list = entries.sorted().prefix(20).map(String.init).joined(separator: ", ")
            throw StartupRefusal(
                .keysOlder,
                """
                the copy is of epoch \(tree.epoch), and the store knows of \(stored.epoch): it would undo \(erased.count) erasures\
                \(entries.isEmpty ? "" : " (entries \(list))") and lacks the keys of \(lost) scopes
                """,
                advice: """
                    Take a newer copy. If there is none, give --older: the erasures are done again, and what was sealed \
                    under the keys that are lacking is lost
                    """
            )
        }
        if !erased.isEmpty { try tree.erase(erased) }
        // So that no slot is made twice: those the copy lacks are made, and go unused.
        while tree.slots < stored.nextSlot {
            _ = try tree.makeSlots(nodes: Int(min((stored.nextSlot - tree.slots + 63) / 64, 64)))
        }
        try environment.write(growingTo: .max) { try schema.setKeyEpoch(tree.epoch, $0) }
        return Restored(epoch: tree.epoch, erasedAgain: erased.count, lostScopes: lost)
    }

    /// Takes away what an earlier call left.
    private static func discard(_ directory: String) throws {
        for name in KeyTree.files + ["root.key" + FileDraft.suffix, "data.mdb" + FileDraft.suffix] {
            let path = directory + "/" + name
            guard unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR else {
                throw SystemError("removing \(path)")
            }
        }
        guard rmdir(directory) == 0 || errno == ENOENT else { throw SystemError("removing \(directory)") }
    }
}
