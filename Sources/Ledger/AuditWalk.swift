import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The state an audit carries from entry to entry: what the entries so far say everything else must be.
struct AuditWalk {
    private(set) var findings: [AuditFinding] = []
    private let schema: StoreSchema
    private var claims: SealedClaims?
    private var hasher = SHA256Hasher()
    private var range = CompactRange()
    private var previous = Digest.zero
    private var time: LedgerTime?
    /// The size the checkpoint lock speaks of, and the root re-derived there.
    private let lockedSize: UInt64?
    private var lockedRoot: Digest?
    private var identities: [LedgerIdentity] = []
    private var memberships = 0
    private var sealedRows = 0
    private var checkpointRows = 0
    private var openedClaims = 0
    private var erasedClaims = 0
    private var lookups: LookupAudit?
    /// The size whose checkpoint row came after the totals were taken; 0 where there is none.
    private var uncountedCheckpoint: UInt64 = 0

    init(schema: StoreSchema, claims: SealedClaims?, lockedSize: UInt64?) {
        self.schema = schema
        self.claims = claims
        self.lockedSize = lockedSize
    }

    /// Notes what is audited: the ledger as it stood when the totals were taken.
    mutating func begin(_ totals: AuditTotals) {
        if !totals.hasNewestCheckpoint { uncountedCheckpoint = totals.size }
    }

    mutating func report() -> AuditReport {
        AuditReport(
            origin: identities.last?.origin ?? "",
            incarnation: identities.last?.incarnation ?? 0,
            size: range.size,
            root: range.root(&hasher),
            checkpoints: checkpointRows,
            openedClaims: openedClaims,
            erasedClaims: erasedClaims,
            indexed: lookups?.indexed ?? 0,
            findings: findings
        )
    }

    mutating func openIndex(_ directory: String, key: [UInt8]?, identity: LedgerIdentity) {
        guard FileSystem.exists(directory + "/data.mdb") else { return }
        do {
            lookups = try LookupAudit(directory: directory, key: key, identity: identity)
        } catch {
            found(nil, "the look-up index cannot be read: \(error)")
        }
    }

    /// Re-derives one entry and all that hangs on it.
    mutating func examine(_ index: UInt64, _ transaction: borrowing ReadTransaction) {
        do {
            let bytes = try schema.entry(transaction, index)
            let leaf = examineTree(index, bytes, transaction)
            let entry: Entry
            do {
                entry = try Entry(bytes)
            } catch {
                found(index, "is malformed: \(error)")
                previous = leaf
                return
            }
            examineChain(entry, leaf)
            examineType(entry)
            try examineStreams(entry, transaction)
            let openings = examineClaims(entry, transaction)
            if let contradiction = try lookups?.examine(entry, leaf, openings) {
                found(index, "the look-up index disagrees about its \(contradiction)")
            }
            try examineCheckpoint(transaction)
        } catch let damage as StoreDamage {
            found(damage.index ?? index, damage.what)
        } catch {
            found(index, "cannot be read: \(error)")
        }
    }

    // MARK: Chain and tree

    /// Compares the tree row with the hashes the entry gives, and gives the leaf hash the next entry must name: the
    /// stored one, so that one damaged entry is one finding and not all those after it.
    private mutating func examineTree(
        _ index: UInt64,
        _ bytes: [UInt8],
        _ transaction: borrowing ReadTransaction
    ) -> Digest {
        let computed = hasher.leaf(bytes)
        let row = (try? transaction.get(schema.tree, StoreKey.number(index))) ?? nil
        let stored = row.flatMap { $0.count >= 32 ? Digest(Array($0.prefix(32))) : nil }
        if stored != computed { found(index, "does not hash to its leaf in the tree") }
        let leaf = stored ?? computed
        var derived: [UInt8] = []
        range.append(leaf, hasher: &hasher) { _, digest in digest.append(to: &derived) }
        if row != derived, stored != nil {
            found(index, "the tree nodes it completes are not the hashes of their children")
        }
        return leaf
    }

    private mutating func examineChain(_ entry: Entry, _ leaf: Digest) {
        let index = range.size - 1
        if entry.index != index { found(index, "says it is entry \(entry.index)") }
        if entry.previous != previous { found(index, "does not name the leaf hash of the entry before it") }
        if let time, entry.time <= time { found(index, "is not later than the entry before it") }
        previous = leaf
        time = entry.time
        if index == 0 {
            do {
                identities = [try LedgerIdentity.genesis(entry)]
            } catch {
                found(0, "is not ledger.created")
            }
        } else if let next = identities.last?.after(entry) {
            identities.append(next)
        }
    }

    private mutating func examineType(_ entry: Entry) {
        guard let type = EventCatalogue.type(named: entry.type) else {
            return found(entry.index, "its type is not in the event catalogue")
        }
        if let broken = type.contradiction(entry) { found(entry.index, broken) }
    }

    // MARK: What hangs on an entry

    /// Number n of a stream is this entry's, and number n − 1 an earlier one's: by induction no number is missing.
    private mutating func examineStreams(_ entry: Entry, _ transaction: borrowing ReadTransaction) throws {
        for membership in entry.streams {
            memberships += 1
            let number = UInt64(membership.number)
            let own = try transaction.get(schema.streams, StoreKey.stream(membership.stream, number: number))
            if own != StoreKey.number(entry.index) {
                found(entry.index, "is not number \(number) of \(membership.stream)")
            }
            guard number > 0 else { continue }
            let before = try transaction.get(schema.streams, StoreKey.stream(membership.stream, number: number - 1))
            guard let index = before.flatMap({ StoreKey.readNumber($0) }), index < entry.index else {
                found(entry.index, "number \(number - 1) of \(membership.stream) is not an earlier entry")
                continue
            }
        }
    }

    private mutating func examineClaims(_ entry: Entry, _ transaction: borrowing ReadTransaction) -> [Opening] {
        for ordinal in entry.claims.indices {
            let key = StoreKey.sealed(index: entry.index, ordinal: ordinal)
            if let row = try? transaction.get(schema.sealed, key), !row.isEmpty { sealedRows += 1 }
        }
        guard !entry.claims.isEmpty, claims != nil else { return [] }
        do {
            let openings = try claims?.openings(of: entry, transaction, schema) ?? []
            openedClaims += openings.count
            return openings
        } catch LedgerError.erasedClaims {
            erasedClaims += entry.claims.reduce(0) { $0 + $1.claims.count }
        } catch let damage as StoreDamage {
            found(entry.index, damage.what)
        } catch {
            found(entry.index, "its sealed claims cannot be opened: \(error)")
        }
        return []
    }

    private mutating func examineCheckpoint(_ transaction: borrowing ReadTransaction) throws {
        let size = range.size
        if size == lockedSize { lockedRoot = range.root(&hasher) }
        guard size != uncountedCheckpoint, try transaction.get(schema.checkpoints, StoreKey.number(size)) != nil,
            let note = try schema.note(transaction, size: size, root: range.root(&hasher))
        else { return }
        checkpointRows += 1
        do {
            try verify(note)
        } catch {
            found(size - 1, "the checkpoint signed at size \(size) does not hold: \(error)")
        }
    }

    /// Checks a note against the key its origin had.
    private func verify(_ note: SignedNote) throws {
        let checkpoint = try Checkpoint(parsing: note.text)
        guard let identity = identities.last(where: { $0.origin == checkpoint.origin }) else {
            throw NoteError(.malformedCheckpoint, "its origin is not one of this ledger's incarnations")
        }
        try note.verify([CheckpointVerifier(vkey: identity.vkey)])
    }

    /// Every scope with a data key must be a stream of the ledger. One without a key is erased, and no finding.
    mutating func examineScopes(_ transaction: borrowing ReadTransaction) throws {
        try transaction.cursor(schema.scopes) { cursor in
            var row = try cursor.first()
            while let current = row, findings.count < LedgerAudit.maximumFindings {
                let isKnown = StoreKey.readStream(current.key).map { scope in
                    (try? transaction.get(schema.streams, StoreKey.stream(scope, number: 0))) ?? nil != nil
                }
                if isKnown != true { found(nil, "a data key is stored for a scope that no entry names") }
                row = try cursor.next()
            }
        }
    }

    // MARK: The end

    /// Compares totals: rows that no entry accounts for are as wrong as missing ones.
    mutating func conclude(_ totals: AuditTotals, identity: LedgerIdentity?) {
        for (name, rows, derived) in [
            ("tree", totals.tree, Int(totals.size)), ("stream", totals.streams, memberships),
            ("sealed claims", totals.sealed, sealedRows), ("checkpoint", totals.checkpoints, checkpointRows),
        ] where rows != derived {
            found(nil, "the store has \(rows) \(name) rows where the entries account for \(derived)")
        }
        if identity != identities.last { found(nil, "the store's identity is not what its entries establish") }
        for what in lookups?.conclude() ?? [] { found(nil, what) }
    }

    mutating func compare(lock: LockRecord?, path: String) {
        guard let lock else { return found(nil, "the checkpoint lock \(path) is missing or damaged") }
        do {
            let (note, locked) = try lock.checkpoint()
            try verify(note)
            guard locked.size <= range.size else {
                return found(nil, "a checkpoint of \(locked.size) entries was signed, and there are \(range.size)")
            }
            if lockedRoot != locked.root {
                found(nil, "the newest checkpoint has another root than the first \(locked.size) entries")
            }
        } catch {
            found(nil, "the checkpoint in \(path) does not hold: \(error)")
        }
    }

    private mutating func found(_ index: UInt64?, _ what: String) {
        findings.append(AuditFinding(index: index, what: what))
    }
}
