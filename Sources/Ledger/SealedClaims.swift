import JSON
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Claim values and salts at rest: each event's claims under one scope are one message under the scope's data key,
/// which is a slot's of the key tree, of the tree's suite (`ledger-format.md` section 10).
struct SealedClaims {
    let source: ClaimKeys
    private let losses: ClaimLosses
    private var cipher: SuiteCipher
    let hasher = SHA256Hasher()
    /// Room for what is sealed and for what is hashed, kept from event to event.
    private var plaintext: [UInt8] = []
    private var preimage: [UInt8] = []
    private var context: [UInt8] = []
    /// Owned by the thread that uses this value; data keys of recently used scopes, as the tree was at an epoch.
    private var keys: [StreamID: CipherKey] = [:]
    private var epoch: UInt64
    /// Slots that scopes got in the transaction at hand, of which the store does not know yet.
    private var fresh: [StreamID: KeySupply.Slot] = [:]
    /// Slots of scopes that an event is going to name, which something is sealed under already. The store does not know
    /// of them.
    var reserved: [StreamID: KeySupply.Slot] = [:]
    /// Scopes whose erasure is recorded, each by an entry, and whose keys are about to be destroyed.
    private var condemned: [StreamID: UInt64] = [:]
    /// Those of them whose erasures are committed.
    private var doomed: [StreamID: UInt64] = [:]
    /// Scopes whose erasure a snapshot says is recorded, and the row that says so.
    private var pending: (row: [UInt8]?, scopes: [StreamID: UInt64]) = (nil, [:])
    private static let cachedScopes = 4_096

    /// - Parameters:
    ///   - source: has the data keys.
    ///   - losses: which claims may be gone without an erasure.
    init(_ source: ClaimKeys, losses: ClaimLosses) throws {
        self.source = source
        self.losses = losses
        epoch = source.tree.epoch
        cipher = try SuiteCipher(source.tree.suite)
    }

    /// Seals claims of one scope for the entry at `index` and appends the message.
    ///
    /// - Parameters:
    ///   - plaintext: as `PreparedEvents` makes it.
    ///   - freshScopes: takes the scope where it got its data key.
    /// - Returns: whether there is a key to seal under: an erased scope gets none again.
    mutating func seal(
        _ plaintext: Span<UInt8>,
        scope: StreamID,
        index: UInt64,
        _ transaction: borrowing WriteTransaction,
        _ schema: StoreSchema,
        freshScopes: inout [StreamID],
        to sealed: inout [UInt8]
    ) throws -> Bool {
        let key: CipherKey
        switch try self.key(of: scope, transaction, schema) {
        case .known(let known): key = known
        case .none:
            key = try freshKey(of: scope)
            freshScopes.append(scope)
        case .erased: return false
        }
        SealedClaims.context(scope, index, in: &context)
        try cipher.seal(plaintext, key: key, context: context.span, to: &sealed)
        return true
    }

    /// Gives a scope a slot of its own; `writeFreshKeys` stores which.
    ///
    /// - Throws: `LedgerError.storeFull` where there is none.
    private mutating func freshKey(of scope: StreamID) throws -> CipherKey {
        let slot = try reserved[scope] ?? freshSlot()
        fresh[scope] = slot
        return slot.key
    }

    /// - Throws: `LedgerError.storeFull` where there is none.
    func freshSlot() throws -> KeySupply.Slot {
        guard let supply = source.supply else { preconditionFailure("keys that are only read seal nothing") }
        do {
            return try supply.take()
        } catch let refusal as KeyRefusal where [.noRoom, .full].contains(refusal.code) {
            throw LedgerError.storeFull(reason: refusal.what)
        }
    }

    /// Stores the slots that scopes got since the last time.
    mutating func writeFreshKeys(_ transaction: borrowing WriteTransaction, _ schema: StoreSchema) throws {
        guard let last = fresh.values.map(\.number).max() else { return }
        // A key that is in a file without a name opens nothing once the process ends.
        try source.tree.requireInPlace()
        let rows = fresh.map { scope, slot in
            (key: StoreKey.stream(scope), content: ScopeSlot.content(slot.number, of: scope, hasher))
        }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try schema.scopes.insert(transaction, ascending: rows.count) { position, key, content in
            key = rows[position].key
            content = rows[position].content
        }
        try schema.setNextSlot(max(last + 1, schema.nextSlot(transaction)), transaction)
        for (scope, slot) in fresh { remember(slot.key, for: scope) }
        fresh.removeAll(keepingCapacity: true)
    }

    /// The claims of one scope of the entry at `index`, checked against its commitments.
    ///
    /// - Parameters:
    ///   - plaintext: room for what is opened.
    ///   - each: takes each claim's name, salt and canonical value, in the entry's order.
    private mutating func open(
        _ sealed: UnsafeRawBufferPointer,
        _ scope: Entry.Scope,
        _ key: CipherKey,
        index: UInt64,
        _ plaintext: inout [UInt8],
        each: (String, Span<UInt8>, Span<UInt8>) throws -> Void
    ) throws {
        SealedClaims.context(scope.scope, index, in: &context)
        do {
            try cipher.open(sealed, key: key, context: context.span, to: &plaintext)
        } catch {
            throw StoreDamage(index, "the sealed claims do not open under the data key of their scope")
        }
        let opened = plaintext.span
        var position = 0
        for claim in scope.claims {
            let valueStart = position + FormatLimits.saltBytes + 2
            guard opened.count >= valueStart else { throw StoreDamage(index, "the sealed claims are malformed") }
            let salt = opened.extracting(position..<position + FormatLimits.saltBytes)
            let valueEnd = valueStart + Int(opened[valueStart - 2]) << 8 + Int(opened[valueStart - 1])
            guard opened.count >= valueEnd else { throw StoreDamage(index, "the sealed claims are malformed") }
            let value = opened.extracting(valueStart..<valueEnd)
            position = valueEnd
            preimage.removeAll(keepingCapacity: true)
            ClaimCommitment.append(salt: salt, name: claim.name.utf8.span, value: value, to: &preimage)
            guard hasher.hash(preimage) == claim.commitment else {
                throw StoreDamage(index, "the sealed claims are not those the entry commits to")
            }
            try each(claim.name, salt, value)
        }
        guard position == opened.count else { throw StoreDamage(index, "the sealed claims are malformed") }
    }

    /// Opens the claims of an entry and checks each against its commitment.
    ///
    /// - Parameter each: takes for each claim the position of its scope in the entry, its name, salt and canonical value,
    ///   in the entry's order.
    /// - Returns: the scopes whose claims are erased, or were lost with their keyring.
    /// - Throws: `StoreDamage` where claims are missing, or are not those the entry commits to.
    mutating func open(
        _ entry: Entry,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema,
        each: (Int, String, Span<UInt8>, Span<UInt8>) throws -> Void
    ) throws -> [ErasedScope] {
        try readPending(transaction, schema)
        var erased: [ErasedScope] = []
        var plaintext = SealedClaims.take(&self.plaintext)
        defer { self.plaintext = plaintext }
        for (ordinal, scope) in entry.claims.enumerated() {
            let row = StoreKey.sealed(index: entry.index, ordinal: ordinal)
            let found: Result<Void, any Error>?
            switch try key(of: scope.scope, transaction, schema) {
            case .erased(let erasure, let hadKey):
                // One that never had a key explains no claims that were sealed under one.
                if !hadKey { try losses.requireLost(entry.index, scope.scope) }
                erased.append(ErasedScope(ordinal: ordinal, by: erasure))
                continue
            case .none: found = nil
            case .known(let key):
                found = try transaction.withValue(schema.sealed, row) { sealed in
                    Result {
                        try open(sealed, scope, key, index: entry.index, &plaintext) { name, salt, value in
                            try each(ordinal, name, salt, value)
                        }
                    }
                }
            }
            if let found {
                try found.get()
            } else {
                try losses.requireLost(entry.index, scope.scope)
                erased.append(ErasedScope(ordinal: ordinal, by: nil))
            }
        }
        return erased
    }

    /// Whether a key is the data key of a scope of an entry: what is sealed under it opens to what the entry commits to.
    mutating func isKey(
        _ key: CipherKey,
        ofScope ordinal: Int,
        in entry: Entry,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> Bool {
        var plaintext: [UInt8] = []
        let row = StoreKey.sealed(index: entry.index, ordinal: ordinal)
        let opened = try transaction.withValue(schema.sealed, row) { sealed in
            Result { try open(sealed, entry.claims[ordinal], key, index: entry.index, &plaintext) { _, _, _ in } }
        }
        guard case .success? = opened else { return false }
        return true
    }

    /// The openings of an entry, in the entry's order, all or those of the names given.
    ///
    /// - Throws: `LedgerError.erasedClaims` where one of them is erased.
    mutating func openings(
        of entry: Entry,
        names: [String]? = nil,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> [Opening] {
        func isWanted(_ name: String) -> Bool { names?.contains(name) ?? true }
        var openings: [Opening] = []
        let erased = try open(entry, transaction, schema) { scope, name, salt, value in
            guard isWanted(name) else { return }
            guard let value = try? JSONReader.parse(value.withUnsafeBufferPointer { Array($0) }) else {
                throw StoreDamage(entry.index, "the sealed claims are malformed")
            }
            openings.append(
                Opening(
                    scope: entry.claims[scope].scope,
                    name: name,
                    salt: salt.withUnsafeBufferPointer { Array($0) },
                    value: value
                )
            )
        }
        let lost = erased.filter { entry.claims[$0.ordinal].claims.contains { isWanted($0.name) } }
        guard lost.isEmpty else {
            throw LedgerError.erasedClaims(index: entry.index, erasure: lost.compactMap(\.by).first)
        }
        return openings
    }

    /// Empties a buffer and hands over its room.
    private static func take(_ buffer: inout [UInt8]) -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &buffer)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    /// Gives back the slots a refused call gave its scopes: no entry names them.
    mutating func takeBack(_ scopes: [StreamID]) {
        giveBack(scopes)
    }

    /// Has the keys of scopes be taken for destroyed from now on, as an entry says that they are.
    ///
    /// - Returns: those that were not before.
    @discardableResult
    mutating func condemn(_ scopes: [StreamID], by entry: UInt64) -> [StreamID] {
        let new = scopes.filter { condemned[$0] == nil }
        for scope in new { condemned[scope] = entry }
        return new
    }

    /// Takes that back: no entry says it.
    mutating func pardon(_ scopes: [StreamID]) {
        for scope in scopes { condemned[scope] = nil }
    }

    /// The keys of those that were condemned are destroyed; no copy of them stays here.
    mutating func noteExecuted() throws {
        condemned.removeAll()
        doomed.removeAll()
        keys.removeAll(keepingCapacity: true)
        // It keeps the last key it used.
        cipher = try SuiteCipher(source.tree.suite)
    }

    /// The keys of those that were condemned wait to be destroyed.
    mutating func notePending() { doomed = condemned }

    /// Whether a scope has a data key that can be destroyed.
    mutating func isKeyed(
        _ scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> Bool {
        if case .known = try key(of: scope, transaction, schema) { true } else { false }
    }

    /// Gives back the slots that an aborted transaction gave its scopes.
    mutating func forgetKeys() {
        condemned = doomed
        keys.removeAll(keepingCapacity: true)
        giveBack(Array(fresh.keys))
    }

    /// Gives back slots of scopes that no entry names. What was reserved stays so.
    private mutating func giveBack(_ scopes: [StreamID]) {
        let slots = scopes.compactMap { scope in
            fresh.removeValue(forKey: scope).flatMap { reserved[scope] == nil ? $0 : nil }
        }
        source.supply?.giveBack(slots)
    }

    /// What there is of the data key of a scope.
    enum ScopeKey {
        case known(CipherKey)
        case none
        /// It was destroyed, by an entry where the store knows which; or the scope was erased and had none in this tree.
        case erased(by: UInt64?, hadKey: Bool = true)
    }

    mutating func key(
        of scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> ScopeKey {
        if source.tree.epoch != epoch {
            // Some were destroyed since.
            epoch = source.tree.epoch
            keys.removeAll(keepingCapacity: true)
        }
        if let entry = condemned[scope] ?? pending.scopes[scope] { return .erased(by: entry) }
        if let known = keys[scope] ?? fresh[scope]?.key { return .known(known) }
        switch try schema.scopeRow(of: scope, transaction, hasher) {
        case nil: return .none
        case .erased(let entry, let slot)?: return .erased(by: entry, hadKey: entry == nil || slot != nil)
        case .slot(let slot)?:
            switch try keyInTree(slot, of: scope) {
            case .living(let key):
                remember(key, for: scope)
                return .known(key)
            case .erased: return .erased(by: nil)
            case .unknown: throw StoreDamage(nil, "the key tree has no slot \(slot) of the data key", of: scope)
            }
        }
    }

    /// Learns which erasures are recorded and not done yet. From the moment they are, their claims are erased, wherever
    /// their keys still are.
    private mutating func readPending(
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws {
        let row = try schema.pendingErasuresRow(transaction)
        guard pending.row == nil || row != pending.row else { return }
        var scopes: [StreamID: UInt64] = [:]
        do {
            for (entry, named) in try schema.pendingScopes(transaction) {
                for scope in named where scopes[scope] == nil { scopes[scope] = entry }
            }
        } catch let damage as StoreDamage {
            // An audit says once what is wrong with the row.
            guard case .audited = losses else { throw damage }
        }
        pending = (row, scopes)
    }

    private func keyInTree(_ slot: UInt64, of scope: StreamID) throws -> KeyTree.SlotKey {
        do {
            return try source.tree.key(of: slot)
        } catch let refusal as KeyRefusal {
            throw StoreDamage(nil, "the data key can't be had: \(refusal.what)", of: scope)
        }
    }

    /// Keeps the data key of a scope at hand.
    mutating func remember(_ key: CipherKey, for scope: StreamID) {
        if keys.count >= SealedClaims.cachedScopes { keys.removeAll(keepingCapacity: true) }
        keys[scope] = key
    }

    private static func context(_ scope: StreamID, _ index: UInt64, in context: inout [UInt8]) {
        context.removeAll(keepingCapacity: true)
        context.append(contentsOf: "evidenced/sealed-claims/v1\n".utf8)
        scope.append(to: &context)
        context.append(0x0A)
        JSONWriter.append(Int64(index), to: &context)
    }
}

/// A scope of an entry whose claims can't be had any more.
struct ErasedScope {
    /// Its position in the entry's claims.
    let ordinal: Int
    /// The entry that erased it, where the store knows which.
    let by: UInt64?
}
