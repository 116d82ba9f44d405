import JSON
import Keys
import LMDB
public import LedgerFormat
import OpenSSL

/// Which events destroy keys, and of what (`ledger-format.md` section 10, "Erasure").
enum Erasing {
    /// The types of which an event is recorded before the keys of the scopes it names are destroyed, and only then
    /// acknowledged.
    static let types: Set<String> = ["erasure.executed", "erasure.partial", "evidence.destroyed"]

    /// The scopes an entry says are erased.
    static func scopes(namedBy entry: Entry) -> [StreamID] {
        func streams(_ name: String) -> [StreamID] {
            entry.body[name]?.array?.compactMap { $0.string.flatMap { StreamID($0) } } ?? []
        }
        return switch entry.type {
        case "erasure.executed": streams("scopes")
        case "erasure.partial": streams("erased")
        case "evidence.destroyed": entry.streams.map(\.stream).filter { $0.kind == .object }
        default: []
        }
    }
}

extension EventType {
    /// Whether recording an event of the type destroys keys.
    public var isErasing: Bool { Erasing.types.contains(name) }
}

/// Destroys what recorded events say is erased. Which of them it has not done yet, the store keeps, so that whatever cuts it
/// off, the next start goes on.
struct Erasures {
    let environment: Environment
    let schema: StoreSchema
    let tree: KeyTree
    /// Has what is kept under scopes beside their claims.
    var custody: (any ScopeCustody)?
    let settings: LedgerSettings

    /// Whether an event was recorded whose keys are not destroyed yet.
    func arePending() throws -> Bool { try environment.read { try !schema.pendingErasures($0).isEmpty } }

    /// Those events, and the scopes each of them erases.
    func pending() throws -> [(entry: UInt64, scopes: [StreamID])] {
        try environment.read { try schema.pendingScopes($0) }
    }

    /// Destroys the keys of every event that waits for it, then has the store say so.
    ///
    /// - Throws: `KeyRefusal` `.noRoom` where there is no room for it yet, and nothing was done; `LMDBError` that the map is
    ///   full where the store can't say so yet; `StoreDamage` where it isn't known what to destroy; `CommitError`,
    ///   `KeyFileError` where it may be half done: the process must end then.
    func execute() throws {
        let (pending, scopes, keyless) = try environment.read { transaction in
            var scopes: [StreamID: (slot: UInt64, entry: UInt64)] = [:]
            // That had none: they are to get none, for they would come back with it.
            var keyless: [StreamID: UInt64] = [:]
            let hasher = SHA256Hasher()
            let pending = try schema.pendingScopes(transaction)
            for (index, named) in pending {
                for scope in named where scopes[scope] == nil {
                    switch try schema.scopeRow(of: scope, transaction, hasher) {
                    case .slot(let slot)?: scopes[scope] = (slot, index)
                    case nil where keyless[scope] == nil: keyless[scope] = index
                    case nil, .erased?: break
                    }
                }
            }
            return (pending, scopes, keyless)
        }
        guard !pending.isEmpty else { return }
        // What an earlier try destroyed, of which the store could not be told, is not destroyed again.
        let shape = tree.shape
        let living = try scopes.values.map(\.slot).filter { try shape.isErased($0) != true }
        if !living.isEmpty { try tree.erase(living) }
        try custody?.destroy(pending.flatMap(\.scopes))
        let hasher = SHA256Hasher()
        let rows = scopes.map { scope, erased in
            (
                key: StoreKey.stream(scope),
                content: ScopeRow.erased(by: erased.entry, slot: erased.slot, of: scope, hasher)
            )
        }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        let added = keyless.map { (key: StoreKey.stream($0), content: StoreKey.number($1)) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try environment.write(growingTo: settings.maximumMapBytes) { transaction in
            for row in rows { try schema.scopes.replace(transaction, row.key, row.content) }
            try schema.scopes.insert(transaction, ascending: added.count) { position, key, content in
                (key, content) = added[position]
            }
            try schema.setPendingErasures([], transaction)
            try schema.setKeyEpoch(tree.epoch, transaction)
        }
    }
}

/// What a row of `scopes` states.
enum ScopeRow {
    /// The slot of the scope's data key.
    case slot(UInt64)
    /// That it was erased: by an entry, and in which slot its key was, as far as that is known.
    case erased(by: UInt64?, slot: UInt64?)

    /// Reads a row's content; nil where it is not as it was written.
    init?(_ content: UnsafeRawBufferPointer, of scope: StreamID, _ hasher: SHA256Hasher) {
        switch content.count {
        case 0: self = .erased(by: nil, slot: nil)
        case 8: self = .erased(by: StoreKey.readNumber(content), slot: nil)
        default:
            let named = UnsafeRawBufferPointer(rebasing: content.prefix(ScopeSlot.bytes))
            guard let slot = ScopeSlot.read(named, of: scope, hasher) else { return nil }
            if content.count == ScopeSlot.bytes {
                self = .slot(slot)
            } else {
                guard let entry = StoreKey.readNumber(content.dropFirst(ScopeSlot.bytes)) else { return nil }
                self = .erased(by: entry, slot: slot)
            }
        }
    }

    /// The content of the row of a scope that was erased by an entry.
    ///
    /// - Parameter slot: where its key was; nil where that was in another tree than the one there is.
    static func erased(by entry: UInt64?, slot: UInt64?, of scope: StreamID, _ hasher: SHA256Hasher) -> [UInt8] {
        guard let entry else { return [] }
        return (slot.map { ScopeSlot.content($0, of: scope, hasher) } ?? []) + StoreKey.number(entry)
    }
}

extension StoreSchema {
    /// What is stored of the data key of a scope; nil where it never had one.
    ///
    /// - Throws: `StoreDamage` where the row is not as it was written.
    func scopeRow(
        of scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ hasher: SHA256Hasher
    ) throws -> ScopeRow? {
        let found = try scopes.withContent(transaction, StoreKey.stream(scope)) { content in
            Result<ScopeRow, StoreDamage> { () throws(StoreDamage) in
                guard let row = ScopeRow(content, of: scope, hasher) else {
                    throw StoreDamage(nil, "the slot of the data key is not as it was written", of: scope)
                }
                return row
            }
        }
        return try found?.get()
    }
}
