import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Where the data keys of scopes are: a tree of keys of which any can be destroyed (`ledger-format.md` section 10, "Key
/// tree"), and slots of it made ahead for scopes to come.
struct ClaimKeys: Sendable {
    let tree: KeyTree
    /// Nil for those who only read.
    let supply: KeySupply?

    /// To be read beside the daemon.
    ///
    /// - Parameter stored: what the store said of the tree before this.
    /// - Throws: `StartupRefusal` where it can't be read or is another or older one; `LMDBError`, `KeyFileError`.
    init(reading directory: String, _ keyring: Keyring, _ stored: StoredKeys) throws {
        tree = try ClaimKeys.named { try KeyTree(reading: directory, master: keyring.masterKey()) }
        supply = nil
        try require(stored, directory)
    }

    /// To be used by the one process that may change it.
    ///
    /// - Throws: as the other.
    init(writing directory: String, _ keyring: Keyring, _ stored: StoredKeys) throws {
        let tree = try ClaimKeys.named { try KeyTree(directory: directory, master: keyring.masterKey()) }
        self.tree = tree
        supply = try ClaimKeys.named { try KeySupply(tree, from: stored.nextSlot) }
        try require(stored, directory)
    }

    /// Refuses another tree, and an older copy of the one: what was erased since could be read again, what was sealed since
    /// could not, and slots that scopes have would be given to others.
    private func require(_ stored: StoredKeys, _ directory: String) throws(StartupRefusal) {
        try ClaimKeys.require(tree, stored, directory)
        let advice = """
            Put the newer keys back, and destroy this copy of them; where there are none, 'evidence keys restore' says what \
            it would undo, and what is lost
            """
        guard tree.epoch >= stored.epoch else {
            throw StartupRefusal(
                .keysOlder,
                """
                the key tree is of epoch \(tree.epoch), and the store knows of \(stored.epoch): what was erased since \
                could be read again
                """,
                advice: advice
            )
        }
        guard tree.slots >= stored.nextSlot else {
            throw StartupRefusal(
                .keysOlder,
                """
                the key tree has \(tree.slots) slots, and the store gave \(stored.nextSlot) of them to scopes: the keys of \
                some are not in it
                """,
                advice: advice
            )
        }
    }

    /// Refuses another tree than the store names, or one of another suite.
    static func require(_ tree: KeyTree, _ stored: StoredKeys, _ directory: String) throws(StartupRefusal) {
        guard tree.id.utf8.elementsEqual(stored.tree.id.utf8) else {
            throw StartupRefusal(
                .keysOther,
                "\(directory) holds the key tree \(tree.id), and the store's claims are sealed under \(stored.tree.id)",
                advice: "Put this ledger's own keys back"
            )
        }
        guard tree.suite == stored.tree.suite else {
            throw StartupRefusal(
                .keysOther,
                """
                the key tree in \(directory) is of the suite \(tree.suite.rawValue), and the store's claims are sealed \
                with \(stored.tree.suite.rawValue)
                """,
                advice: "A ledger keeps its suite: put its own keys back"
            )
        }
    }

    /// What the key tree refuses, as a start does.
    static func named<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let refusal as KeyRefusal {
            throw StartupRefusal(refusal)
        } catch let damage as PageDamage {
            throw StartupRefusal(.keysDamaged, "the key tree is damaged: \(damage)", advice: "Restore the key backup")
        } catch let refusal as LMDBError where refusal.isDamage {
            throw StartupRefusal(.keysDamaged, "the key tree is damaged: \(refusal)", advice: "Restore the key backup")
        }
    }
}

extension StartupRefusal {
    init(_ refusal: KeyRefusal) {
        let code: Code =
            switch refusal.code {
            case .missing: .keysMissing
            case .exists: .alreadyExists
            case .inUse: .inUse
            case .damaged, .torn, .replaced, .full: .keysDamaged
            case .noRoom: .noRoom
            case .otherMaster: .badKeyring
            }
        self.init(code, refusal.what, advice: refusal.advice)
    }
}

/// What a store says of the key tree its claims are sealed under.
struct StoredKeys {
    let tree: NamedTree
    /// The first slot that no scope ever had.
    let nextSlot: UInt64
    /// The epoch it had when the store last knew of a change of it.
    let epoch: UInt64

    init(_ transaction: borrowing some Readable & ~Copyable, _ schema: StoreSchema) throws {
        tree = try schema.keyTree(transaction)
        nextSlot = try schema.nextSlot(transaction)
        epoch = try schema.keyEpoch(transaction)
    }
}

/// The slot of a scope's data key, as a row of `scopes` states it.
enum ScopeSlot {
    /// Bytes of a slot's number and of what shows that it is as it was written.
    static let bytes = 16
    private static let label = Array("evidenced/scope-slot/v1\n".utf8)

    /// The content of a row: the slot ‖ the first 8 bytes of SHA-256(label ‖ the row's key ‖ the slot).
    static func content(_ slot: UInt64, of scope: StreamID, _ hasher: SHA256Hasher) -> [UInt8] {
        let number = StoreKey.number(slot)
        return number + hasher.hash(label + StoreKey.stream(scope) + number).bytes.prefix(8)
    }

    /// The slot a content states; nil where it is not as it was written.
    static func read(_ content: UnsafeRawBufferPointer, of scope: StreamID, _ hasher: SHA256Hasher) -> UInt64? {
        guard content.count == bytes, let slot = StoreKey.readNumber(content.prefix(8)),
            content.elementsEqual(self.content(slot, of: scope, hasher))
        else { return nil }
        return slot
    }
}
