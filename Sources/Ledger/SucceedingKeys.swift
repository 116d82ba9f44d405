import Files
import Glibc
import Keys
import LMDB
import LedgerFormat
import OpenSSL

/// The key tree a new incarnation goes on with: the one there is, or a new one where the keyring was lost that opened it.
struct SucceedingKeys {
    private let directory: String
    /// Of the tree there is; nil where it doesn't open and is given up.
    private let kept: KeyTree?
    /// The tree that takes its place.
    private let made: NamedTree?
    /// The rows of the one that is given up, as far as they can be read.
    private let lost: KeyTreeShape?

    /// - Parameter suite: of a tree that is made; nil for that of the one there is.
    /// - Throws: `StartupRefusal` where the tree does not open under the keyring and the reason is not that it was lost, or it
    ///   does and another suite is asked for; `MissingAlgorithm`.
    init(
        _ directory: String,
        _ keyring: Keyring,
        _ environment: Environment,
        _ schema: StoreSchema,
        reason: Recovery.Reason,
        suite: CipherSuite?
    ) throws {
        // What a symbolic link leads to, so that the new tree lies on the volume that was chosen.
        let directory = try FileSystem.target(of: directory)
        self.directory = directory
        let stored = try environment.read { try StoredKeys($0, schema) }
        try SucceedingKeys.settle(directory, id: stored.tree.id)
        let opened: KeyTree?
        do {
            opened = try ClaimKeys(writing: directory, keyring, stored).tree
        } catch let refusal as StartupRefusal where !reason.isSigned && refusal.code != .inUse {
            opened = nil
        } catch let refusal as StartupRefusal where refusal.code == .badKeyring {
            throw StartupRefusal(
                .badKeyring,
                "the keyring is not the one this ledger's claims were sealed under",
                advice: "Put the ledger's own keyring back; if it is lost, give the reason key-lost"
            )
        }
        kept = opened
        if let opened {
            guard suite ?? opened.suite == opened.suite else {
                throw StartupRefusal(
                    .keysOther,
                    "the keys are not lost: they open under the keyring, and are of the suite \(opened.suite.rawValue)",
                    advice: "A ledger keeps its suite for as long as its keys: give no other"
                )
            }
            (made, lost) = (nil, nil)
            return
        }
        let next = suite ?? stored.tree.suite
        // Before anything is made.
        try next.requireAlgorithms()
        lost = try? KeyTreeShape(directory: directory)
        let staged = directory + FileSystem.nextSuffix
        try FileSystem.makeDirectory(staged)
        let id = try ClaimKeys.named {
            try KeyTree.create(in: staged, master: keyring.masterKey(), suite: next)
        }
        made = NamedTree(id: id, suite: next)
    }

    /// The scopes whose keys the tree says are destroyed, though the store has no entry that says so: the store is from
    /// before it was recorded.
    func erasedSince(_ environment: Environment, _ schema: StoreSchema) throws -> [(scope: StreamID, slot: UInt64)] {
        guard let kept else { return [] }
        let hasher = SHA256Hasher()
        let shape = kept.shape
        return try environment.read { transaction in
            let pending = Set(try schema.pendingScopes(transaction).flatMap(\.scopes))
            var erased: [(StreamID, UInt64)] = []
            let areLinked = try schema.scopes.forEach(transaction) { key, content in
                guard let scope = StoreKey.readStream(Array(key)), !pending.contains(scope),
                    case .slot(let slot)? = ScopeRow(content, of: scope, hasher), try shape.isErased(slot) == true
                else { return }
                erased.append((scope, slot))
            }
            guard areLinked else { throw schema.scopes.damage }
            return erased
        }
    }

    /// Has the store name the tree, and the slots no scope of it can have had: an older store that was put back may know
    /// nothing of some that were used since.
    ///
    /// - Parameters:
    ///   - erased: what `erasedSince` gave.
    ///   - recovery: the entry that states it.
    func takeOver(
        _ erased: [(scope: StreamID, slot: UInt64)],
        by recovery: UInt64,
        _ transaction: borrowing WriteTransaction,
        _ schema: StoreSchema
    ) throws {
        let hasher = SHA256Hasher()
        for (scope, slot) in erased {
            let content = ScopeRow.erased(by: recovery, slot: slot, of: scope, hasher)
            try schema.scopes.replace(transaction, StoreKey.stream(scope), content)
        }
        if let made {
            try schema.forgetClaims(transaction, lost)
            try schema.setKeyTree(made, transaction)
            try schema.setPendingErasures([], transaction)
        }
        try schema.setKeyEpoch(kept?.epoch ?? 1, transaction)
        try schema.setNextSlot(kept?.slots ?? 0, transaction)
    }

    /// Gives a tree that was made its name. Cut off, the next start does.
    func settle() throws {
        if let made { try SucceedingKeys.settle(directory, id: made.id) }
    }

    /// Where a recovery was cut off behind the point at which the store names another tree, puts that in its place; a copy
    /// of the one that was given up stays beside it.
    static func settle(_ directory: String, id: String) throws {
        let directory = try FileSystem.target(of: directory)
        let staged = directory + FileSystem.nextSuffix
        guard FileSystem.isTaken(staged) else { return }
        // One whose making was cut off is in nobody's way: the store doesn't name it.
        func isNamed(_ path: String) -> Bool {
            (try? KeyTreeShape(directory: path))?.id.utf8.elementsEqual(id.utf8) == true
        }
        guard !isNamed(directory), isNamed(staged) else { return }
        try replace(directory, by: staged, suffix: ".lost")
    }

    /// Puts the tree that waits beside one in its place, of which a copy stays under its name with a suffix.
    static func replace(_ directory: String, by staged: String, suffix: String) throws {
        if FileSystem.isTaken(directory) {
            try FileSystem.underFreeName(directory + suffix) { name in
                guard FileSystem.renameNew(directory, name) else { throw SystemError("renaming \(directory)") }
            }
        }
        guard FileSystem.renameNew(staged, directory) else { throw SystemError("naming \(directory)") }
        try FileSystem.syncDirectory(FileSystem.parent(of: directory))
    }
}

extension StoreSchema {
    /// Removes all sealed claims and the slots of data keys nobody can have any more. Scopes that were erased before keep
    /// a row that says so, so that they get no key again.
    ///
    /// - Parameter keys: the tree that is given up, which knows what was erased in it.
    /// - Throws: `StoreDamage` where it isn't known which were erased.
    fileprivate func forgetClaims(_ transaction: borrowing WriteTransaction, _ keys: KeyTreeShape?) throws {
        var erased: [(scope: [UInt8], content: [UInt8])] = []
        let hasher = SHA256Hasher()
        // Recorded as erased, and not done yet: it is with this.
        var pending: [[UInt8]: UInt64] = [:]
        for (entry, named) in try pendingScopes(transaction) {
            for scope in named where pending[StoreKey.stream(scope)] == nil { pending[StoreKey.stream(scope)] = entry }
        }
        let areLinked = try scopes.forEach(transaction) { scope, content in
            switch StoreKey.readStream(Array(scope)).flatMap({ ScopeRow(content, of: $0, hasher) }) {
            case .erased(let entry, _)?: erased.append((Array(scope), entry.map { StoreKey.number($0) } ?? []))
            case .slot(let slot)?:
                if let entry = pending[Array(scope)] {
                    erased.append((Array(scope), StoreKey.number(entry)))
                } else if (try? keys?.isErased(slot)) == true {
                    erased.append((Array(scope), []))
                }
            case nil: break
            }
        }
        guard areLinked else { throw scopes.damage }
        for database in [scopes.database, sealed] { try transaction.clear(database) }
        try scopes.begin(transaction)
        try scopes.insert(transaction, ascending: erased.count) { position, scope, content in
            (scope, content) = erased[position]
        }
    }
}
