import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Claim values and salts at rest: each event's claims under one scope are one AES-256-GCM message under the scope's
/// data key, which is stored wrapped under the keyring's claims key (`ledger-format.md` section 10).
struct SealedClaims {
    private let claimsKey: CipherKey
    private let losses: ClaimLosses
    private let random: RandomSupply
    /// For the claims, and for the data keys, which are all under one key.
    private let cipher: AuthenticatedCipher
    private let wrapping: AuthenticatedCipher
    let hasher = SHA256Hasher()
    /// Room for what is sealed and for what is hashed, kept from event to event.
    private var plaintext: [UInt8] = []
    private var preimage: [UInt8] = []
    private var context: [UInt8] = []
    /// Owned by the thread that uses this value; unwrapped data keys of recently used scopes.
    private var keys: [StreamID: CipherKey] = [:]
    /// Keys made in the transaction at hand, which are not stored yet.
    private var fresh: [StreamID: (key: CipherKey, wrapped: [UInt8])] = [:]
    private static let cachedScopes = 4_096

    /// - Parameter losses: which claims may be gone without an erasure.
    init(claimsKey: SecretBytes, losses: ClaimLosses) throws {
        self.claimsKey = try CipherKey(claimsKey)
        self.losses = losses
        random = RandomSupply()
        cipher = try AuthenticatedCipher()
        wrapping = try AuthenticatedCipher()
    }

    /// Seals claims of one scope for the entry at `index` and appends the message.
    ///
    /// - Parameters:
    ///   - plaintext: as `PreparedEvents` makes it.
    ///   - isNew: the scope is a stream without entries, so it can have no data key yet.
    ///   - freshScopes: takes the scope where it got its data key.
    /// - Returns: whether there is a key to seal under: an erased scope gets none again.
    mutating func seal(
        _ plaintext: Span<UInt8>,
        scope: StreamID,
        isNew: Bool,
        index: UInt64,
        _ transaction: borrowing WriteTransaction,
        _ schema: StoreSchema,
        freshScopes: inout [StreamID],
        to sealed: inout [UInt8]
    ) throws -> Bool {
        let key: CipherKey
        switch isNew ? .none : try self.key(of: scope, transaction, schema) {
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

    /// Makes the data key of a scope; `writeFreshKeys` stores it.
    private mutating func freshKey(of scope: StreamID) throws -> CipherKey {
        let key = try CipherKey(random.secret(AuthenticatedCipher.keyBytes))
        SealedClaims.keyContext(scope, in: &context)
        var wrapped: [UInt8] = []
        wrapped.reserveCapacity(AuthenticatedCipher.keyBytes + AuthenticatedCipher.overhead)
        try wrapping.seal(key, key: claimsKey, context: context.span, to: &wrapped)
        fresh[scope] = (key, wrapped)
        return key
    }

    /// Stores the data keys made since the last time.
    mutating func writeFreshKeys(_ transaction: borrowing WriteTransaction, _ schema: StoreSchema) throws {
        let rows = fresh.map { (key: StoreKey.stream($0.key), wrapped: $0.value.wrapped) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try schema.scopes.insert(transaction, ascending: rows.count) { position, key, content in
            key = rows[position].key
            content = rows[position].wrapped
        }
        for (scope, made) in fresh { remember(made.key, for: scope) }
        fresh.removeAll(keepingCapacity: true)
        random.discard()
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
    /// - Returns: the positions of the scopes whose claims are erased, or were lost with their keyring.
    /// - Throws: `StoreDamage` where claims are missing, or are not those the entry commits to.
    mutating func open(
        _ entry: Entry,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema,
        each: (Int, String, Span<UInt8>, Span<UInt8>) throws -> Void
    ) throws -> [Int] {
        var erased: [Int] = []
        var plaintext = SealedClaims.take(&self.plaintext)
        defer { self.plaintext = plaintext }
        for (ordinal, scope) in entry.claims.enumerated() {
            let row = StoreKey.sealed(index: entry.index, ordinal: ordinal)
            let found: Result<Void, any Error>?
            switch try key(of: scope.scope, transaction, schema) {
            case .erased:
                erased.append(ordinal)
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
                erased.append(ordinal)
            }
        }
        return erased
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
        guard !erased.contains(where: { entry.claims[$0].claims.contains { isWanted($0.name) } }) else {
            throw LedgerError.erasedClaims(index: entry.index)
        }
        return openings
    }

    /// Whether a wrapped data key of a scope opens under the claims key.
    mutating func opens(_ wrapped: [UInt8], scope: StreamID) -> Bool {
        (try? wrapped.withUnsafeBytes { try unwrap($0, scope) }) != nil
    }

    private mutating func unwrap(_ wrapped: UnsafeRawBufferPointer, _ scope: StreamID) throws -> CipherKey {
        SealedClaims.keyContext(scope, in: &context)
        return try wrapping.openKey(wrapped, key: claimsKey, context: context.span)
    }

    /// Empties a buffer and hands over its room.
    private static func take(_ buffer: inout [UInt8]) -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &buffer)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    /// Forgets the data keys a refused call gave its scopes: no entry names them.
    mutating func takeBack(_ scopes: [StreamID]) {
        for scope in scopes { fresh[scope] = nil }
    }

    /// Forgets keys that an aborted transaction may have made.
    mutating func forgetKeys() {
        keys.removeAll(keepingCapacity: true)
        fresh.removeAll(keepingCapacity: true)
        random.discard()
    }

    /// What there is of the data key of a scope.
    private enum ScopeKey {
        case known(CipherKey)
        case none
        /// It was destroyed, and its row is left empty.
        case erased
    }

    private mutating func key(
        of scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> ScopeKey {
        if let known = keys[scope] ?? fresh[scope]?.key { return .known(known) }
        let found = try schema.scopes.withContent(transaction, StoreKey.stream(scope)) { wrapped -> ScopeKey? in
            wrapped.isEmpty ? .erased : (try? unwrap(wrapped, scope)).map(ScopeKey.known)
        }
        guard let found else { return .none }
        guard let key = found else {
            throw StoreDamage(nil, "the data key does not open under the keyring's claims key", of: scope)
        }
        if case .known(let opened) = key { remember(opened, for: scope) }
        return key
    }

    private mutating func remember(_ key: CipherKey, for scope: StreamID) {
        if keys.count >= SealedClaims.cachedScopes { keys.removeAll(keepingCapacity: true) }
        keys[scope] = key
    }

    private static func keyContext(_ scope: StreamID, in context: inout [UInt8]) {
        context.removeAll(keepingCapacity: true)
        context.append(contentsOf: "evidenced/scope-key/v1\n".utf8)
        scope.append(to: &context)
    }

    private static func context(_ scope: StreamID, _ index: UInt64, in context: inout [UInt8]) {
        context.removeAll(keepingCapacity: true)
        context.append(contentsOf: "evidenced/sealed-claims/v1\n".utf8)
        scope.append(to: &context)
        context.append(0x0A)
        JSONWriter.append(Int64(index), to: &context)
    }
}
