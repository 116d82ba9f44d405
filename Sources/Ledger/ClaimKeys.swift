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
    /// - Parameter id: the tree the store names.
    /// - Throws: `StartupRefusal` where it can't be read; `LMDBError`, `KeyFileError`.
    init(reading directory: String, _ keyring: Keyring, id: String) throws {
        tree = try ClaimKeys.named { try KeyTree(reading: directory, master: keyring.masterKey()) }
        supply = nil
        try require(id, directory)
    }

    /// To be used by the one process that may change it.
    ///
    /// - Parameter first: the first slot no scope of the store ever had.
    /// - Throws: as the other.
    init(writing directory: String, _ keyring: Keyring, id: String, unassigned first: UInt64) throws {
        let tree = try ClaimKeys.named { try KeyTree(directory: directory, master: keyring.masterKey()) }
        self.tree = tree
        supply = try ClaimKeys.named { try KeySupply(tree, from: first) }
        try require(id, directory)
    }

    private func require(_ id: String, _ directory: String) throws(StartupRefusal) {
        guard tree.id.utf8.elementsEqual(id.utf8) else {
            throw StartupRefusal(
                .keysOther,
                "\(directory) holds the key tree \(tree.id), and the store's claims are sealed under \(id)",
                advice: "Put this ledger's own keys back"
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
            case .damaged, .torn, .full: .keysDamaged
            case .noRoom: .noRoom
            case .otherMaster: .badKeyring
            }
        self.init(code, refusal.what, advice: refusal.advice)
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
