import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Claim values and salts at rest: each event's claims under one scope are one AES-256-GCM message under the scope's
/// data key, which is stored wrapped under the keyring's claims key (`ledger-format.md` section 10).
struct SealedClaims {
    private let wrapping: AuthenticatedCipher
    private let state = CipherState()
    private var writer = JSONWriter(capacity: 1_024)
    /// Owned by the thread that uses this value; unwrapped data keys of recently used scopes.
    private var keys: [StreamID: AuthenticatedCipher] = [:]
    private static let cachedScopes = 4_096

    init(claimsKey: [UInt8]) throws {
        wrapping = try AuthenticatedCipher(key: claimsKey, sharing: state)
    }

    /// A fresh salt.
    func salt() throws -> [UInt8] { try state.random.bytes(FormatLimits.saltBytes) }

    /// Seals openings of one scope for the entry at `index`.
    mutating func seal(
        _ openings: [Opening],
        scope: StreamID,
        index: UInt64,
        _ transaction: borrowing WriteTransaction,
        _ schema: StoreSchema
    ) throws -> [UInt8] {
        writer.clear()
        writer.beginObject()
        for opening in openings {
            writer.name(opening.name)
            writer.beginArray()
            writer.plainString { text in opening.salt.withUnsafeBytes { Base64.append($0, to: &text) } }
            writer.value(opening.value)
            writer.endArray()
        }
        writer.endObject()
        let cipher: AuthenticatedCipher
        if let known = try key(of: scope, transaction, schema) {
            cipher = known
        } else {
            let fresh = try state.random.bytes(AuthenticatedCipher.keyBytes)
            cipher = try AuthenticatedCipher(key: fresh, sharing: state)
            let wrapped = try wrapping.seal(fresh, context: SealedClaims.keyContext(scope))
            try transaction.insert(schema.scopes, StoreKey.stream(scope), wrapped)
            remember(cipher, for: scope)
        }
        return try cipher.seal(writer.bytes, context: SealedClaims.context(scope, index))
    }

    /// The openings of one scope of the entry at `index`.
    ///
    /// - Throws: `LedgerError.erasedClaims` where the scope's key is gone.
    mutating func open(
        _ sealed: [UInt8],
        scope: StreamID,
        index: UInt64,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> [Opening] {
        guard let cipher = try key(of: scope, transaction, schema) else {
            throw LedgerError.erasedClaims(index: index)
        }
        let plaintext = try cipher.open(sealed, context: SealedClaims.context(scope, index))
        guard let members = (try? JSONReader.parse(plaintext))?.object else {
            throw StoreDamage(index, "the sealed claims are malformed")
        }
        return try members.map { member in
            guard let parts = member.value.array, parts.count == 2,
                let salt = parts[0].string.flatMap({ Base64.decode($0) })
            else { throw StoreDamage(index, "the sealed claims are malformed") }
            return Opening(scope: scope, name: member.name, salt: salt, value: parts[1])
        }
    }

    /// All openings of an entry, in the entry's order; each is checked against its commitment.
    mutating func openings(
        of entry: Entry,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> [Opening] {
        var openings: [Opening] = []
        let hasher = SHA256Hasher()
        for (ordinal, scope) in entry.claims.enumerated() {
            guard let sealed = try transaction.get(schema.sealed, StoreKey.sealed(index: entry.index, ordinal: ordinal))
            else { throw LedgerError.erasedClaims(index: entry.index) }
            let opened = try open(sealed, scope: scope.scope, index: entry.index, transaction, schema)
            let commitments = opened.map { CommittedClaim(name: $0.name, commitment: hasher.hash($0.preimage)) }
            guard commitments == scope.claims else {
                throw StoreDamage(entry.index, "the sealed claims are not those the entry commits to")
            }
            openings += opened
        }
        return openings
    }

    /// Whether a wrapped data key of a scope opens under the claims key.
    func opens(_ wrapped: [UInt8], scope: StreamID) -> Bool {
        (try? wrapping.open(wrapped, context: SealedClaims.keyContext(scope))) != nil
    }

    /// Forgets keys that an aborted transaction may have made.
    mutating func forgetKeys() { keys.removeAll(keepingCapacity: true) }

    private mutating func key(
        of scope: StreamID,
        _ transaction: borrowing some Readable & ~Copyable,
        _ schema: StoreSchema
    ) throws -> AuthenticatedCipher? {
        if let known = keys[scope] { return known }
        guard let wrapped = try transaction.get(schema.scopes, StoreKey.stream(scope)) else { return nil }
        let key: [UInt8]
        do {
            key = try wrapping.open(wrapped, context: SealedClaims.keyContext(scope))
        } catch {
            throw StoreDamage(nil, "the data key of \(scope) does not open under the keyring's claims key")
        }
        let cipher = try AuthenticatedCipher(key: key, sharing: state)
        remember(cipher, for: scope)
        return cipher
    }

    private mutating func remember(_ cipher: AuthenticatedCipher, for scope: StreamID) {
        if keys.count >= SealedClaims.cachedScopes { keys.removeAll(keepingCapacity: true) }
        keys[scope] = cipher
    }

    private static func keyContext(_ scope: StreamID) -> [UInt8] {
        var context = Array("evidenced/scope-key/v1\n".utf8)
        scope.append(to: &context)
        return context
    }

    private static func context(_ scope: StreamID, _ index: UInt64) -> [UInt8] {
        var context = Array("evidenced/sealed-claims/v1\n".utf8)
        scope.append(to: &context)
        context.append(0x0A)
        context.append(contentsOf: String(index).utf8)
        return context
    }
}
