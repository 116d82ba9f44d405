import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Joins the chunks of an audit in ledger order, and compares what only the whole can show.
struct AuditWalk {
    private(set) var findings: [AuditFinding] = []
    private var hasher = SHA256Hasher()
    private var range = CompactRange()
    private var last = AuditChunk.Link(leaf: .zero, time: nil)
    private(set) var identities = IdentityHistory()
    private var memberships = 0
    private var streamSum: UInt64 = 0
    private var sealedRows = 0
    private var openedClaims = 0
    private var erasedClaims = 0
    private var lostClaims = 0
    private var lookupSums = LookupAudit.Sums()
    private var requests: AuditRequests
    private var erasures = AuditErasures()
    /// Whether sums or rows of the streams and of the look-ups are others than the entries', so that the entries must be
    /// gone through once more to say which.
    private(set) var isStreamsSuspect = false
    private(set) var isLookupSuspect = false
    /// Whether the look-up index contradicts itself, which is a finding of its own.
    private(set) var isLookupDamaged = false
    /// Whether entries that cannot be read keep the look-ups of others from being compared block by block.
    var isLookupPartial: Bool { lookupSums.lackEntries }
    /// Blocks of which the look-up index may say something else of their documents.
    private(set) var documentSuspects: [UInt64] = []
    var checkpointRows = 0

    /// - Parameter size: entries of the ledger.
    init(size: UInt64) { requests = AuditRequests(size: size) }

    var size: UInt64 { range.size }
    var isFull: Bool { findings.count >= LedgerAudit.maximumFindings }

    mutating func found(_ index: UInt64?, _ what: String) {
        findings.append(AuditFinding(index: index, what: what))
    }

    mutating func report(indexed: UInt64) -> AuditReport {
        AuditReport(
            origin: identities.newest?.origin ?? "",
            incarnation: identities.newest?.incarnation ?? 0,
            size: range.size,
            root: range.root(&hasher),
            checkpoints: checkpointRows,
            openedClaims: openedClaims,
            erasedClaims: erasedClaims,
            lostClaims: lostClaims,
            indexed: indexed,
            unlockedRecoveries: identities.unlockedRecoveries,
            findings: findings
        )
    }

    // MARK: Joining

    /// Takes the chunk that follows those taken.
    mutating func join(_ chunk: AuditChunk) {
        if let before = chunk.before {
            if before.leaf != last.leaf { found(chunk.first, "does not name the leaf hash of the entry before it") }
            if let time = before.time, let earlier = last.time, time <= earlier {
                found(chunk.first, "is not later than the entry before it")
            }
        }
        if let end = chunk.last { last = AuditChunk.Link(leaf: end.leaf, time: end.time ?? last.time) }
        findings += chunk.findings
        joinTree(chunk)
        for (index, entry) in chunk.establishing {
            for broken in identities.take(entry, at: index) { found(index, broken) }
        }
        memberships += chunk.memberships
        streamSum &+= chunk.streamSum
        sealedRows += chunk.sealedRows
        openedClaims += chunk.openedClaims
        erasedClaims += chunk.erasedClaims
        lostClaims += chunk.lostClaims
        lookupSums.add(chunk)
        requests.add(chunk.requests)
        findings += erasures.add(chunk)
        isLookupSuspect = isLookupSuspect || chunk.contradictsLookups
        if chunk.contradictsDocuments || chunk.lacksEntries {
            documentSuspects.append(chunk.first / LookupBlock.entries)
        }
    }

    /// The subtrees of a chunk, the largest first, stand side by side; a whole chunk's row goes on with those it
    /// completes together with the chunks before.
    private mutating func joinTree(_ chunk: AuditChunk) {
        var rest = chunk.range.size
        for peak in chunk.range.peaks {
            let level = UInt8(63 - rest.leadingZeroBitCount)
            rest -= 1 << UInt64(level)
            var above: [UInt8] = []
            range.append(subtree: peak, level: level, hasher: &hasher) { completed, digest in
                if completed > level { digest.append(to: &above) }
            }
            if level == AuditChunk.level, above != chunk.rowAbove {
                found(range.size - 1, "the tree nodes it completes are not the hashes of their children")
            }
        }
    }

    // MARK: The whole

    /// Compares the rows of the streams: numbers of a stream begin with 0, have no gaps, and grow with the index; and
    /// together they are those the entries name. Each row names the one behind it.
    mutating func examineStreams(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) throws {
        var stream: [UInt8] = []
        var next: (number: UInt64, index: UInt64) = (0, 0)
        var sum: UInt64 = 0
        var isInOrder = true
        let areLinked = try schema.streams.forEach(transaction) { key, value in
            guard key.count == 25, value.count == 8, let membership = StoreKey.readMembership(key, value) else {
                isInOrder = false
                return
            }
            // Rows of entries that came after the audit began.
            guard membership.index < range.size else { return }
            if !stream.elementsEqual(key[..<17]) {
                stream = Array(key[..<17])
                next = (0, 0)
            }
            if membership.number != next.number || membership.index < next.index { isInOrder = false }
            next = (membership.number &+ 1, membership.index + 1)
            sum &+= AuditSum.membership(membership.stream, number: membership.number, index: membership.index)
        }
        isStreamsSuspect = !areLinked || !isInOrder || sum != streamSum
    }

    /// Compares the trees that recoveries took over.
    mutating func examineRecoveries(_ transaction: borrowing ReadTransaction, _ schema: StoreSchema) {
        for (index, rule) in identities.wrongTrees(transaction, schema) { found(index, rule) }
    }

    /// Looks for entries that repeat another's submitter and request.
    mutating func examineRequests(_ environment: Environment, _ schema: StoreSchema) {
        for finding in requests.findings(environment, schema, size: size) where !isFull { findings.append(finding) }
    }

    /// Where the look-up index is not known to have what entries say of their documents, finds out of which it hasn't.
    mutating func examineDocuments(_ audited: Audited) throws {
        guard let lookups = audited.lookups, let keys = audited.claimKeys else { return }
        let (environment, schema) = (audited.environment, audited.schema)
        let lost = try environment.read { try schema.lostBefore(identities.keyLosses, $0) }
        for block in documentSuspects where !isFull {
            let claims = try SealedClaims(keys, losses: .before(lost))
            findings += try lookups.documentFindings(block, environment, schema, claims)
        }
    }

    /// Looks for claims that are gone with no event that says so.
    mutating func examineErasures(_ audited: Audited) throws {
        let (environment, schema) = (audited.environment, audited.schema)
        let gone = try erasures.findings(
            environment,
            schema,
            audited.claimKeys,
            size: size,
            isCopy: audited.isCopy
        )
        for finding in gone where !isFull { findings.append(finding) }
    }

    /// Compares the look-up index with itself, and its request keys with the entries'.
    mutating func examineLookups(_ lookups: LookupAudit) throws {
        let damages = try lookups.damages()
        for damage in damages { found(nil, "\(damage)") }
        isLookupDamaged = !damages.isEmpty
        if isLookupDamaged {
            isLookupSuspect = true
        } else if try !isLookupPartial && lookups.repeated == 0 && lookups.requestSum() != lookupSums.requests {
            isLookupSuspect = true
        }
    }

    /// Every scope with a data key must be a stream of the ledger, and each row names the one behind it. One without a key
    /// is erased, and no finding.
    ///
    /// - Parameter shape: what the key tree says of its slots, where it can be read.
    mutating func examineScopes(
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ shape: KeyTreeShape?
    ) throws {
        var first: [UInt8] = []
        let next: UInt64
        do {
            next = try schema.nextSlot(transaction)
            _ = try (schema.keyTree(transaction), schema.keyEpoch(transaction), schema.pendingErasures(transaction))
        } catch let damage as StoreDamage {
            return found(nil, damage.what)
        }
        // As many as there are rows, whatever a store that is not trusted says it has given away.
        var taken: [UInt64] = []
        let hasher = SHA256Hasher()
        // Of those a recovery says were erased.
        var recovered: [UInt64: [StreamID]] = [:]
        let areLinked = try schema.scopes.forEach(transaction) { scope, content in
            // Number 0 of the stream: its key is the scope's and eight zero bytes.
            first.removeAll(keepingCapacity: true)
            first.append(contentsOf: scope)
            first.append(contentsOf: repeatElement(0, count: 8))
            var isKnown = scope.count == 17 && (try? schema.streams.stored(transaction, first)) ?? nil != nil
            guard !isFull else { return }
            let stream = StoreKey.readStream(Array(scope))
            switch stream.flatMap({ ScopeRow(content, of: $0, hasher) }) {
            case .slot(let slot)? where slot < next: taken.append(slot)
            case .erased(by: nil, _)?: break
            case .erased(let entry?, let slot)?:
                if let slot {
                    taken.append(slot)
                    if slot >= next { found(nil, "slot \(slot) was never given to a scope, and one has it") }
                }
                if let slot, (try? shape?.isErased(slot)) == false {
                    found(entry, "the key of a scope it erases is not destroyed")
                }
                let erasing = (try? schema.entry(transaction, entry)).flatMap { try? Entry($0) }
                if let stream, erasing.map({ Erasing.scopes(namedBy: $0).contains(stream) }) == true {
                    // It may have been erased before any entry was of it.
                    isKnown = true
                } else if let stream, identities.erasedScopes[entry] != nil {
                    recovered[entry, default: []].append(stream)
                } else {
                    found(entry, "a scope is said to be erased by it, and it does not name that scope")
                }
            case .slot, nil: found(nil, "the slot of a scope's data key is not as it was written")
            }
            if !isKnown { found(nil, "a data key is stored for a scope that no entry names") }
        }
        for (entry, stated) in identities.erasedScopes.sorted(by: { $0.key < $1.key }) where !isFull {
            let scopes = recovered[entry] ?? []
            if Recovery.digest(ofErased: scopes, hasher) == stated {
                erasures.explain(scopes)
            } else {
                found(entry, "other scopes are said to be erased by it than it states")
            }
        }
        if !areLinked { found(nil, schema.scopes.damage.what) }
        taken.sort()
        for (slot, following) in zip(taken, taken.dropFirst()) where slot == following && !isFull {
            found(nil, "two scopes have the data key of slot \(slot)")
        }
    }

    /// Compares totals: rows that no entry accounts for are as wrong as missing ones.
    mutating func conclude(_ audited: Audited) {
        let totals = audited.totals
        for (name, rows, derived) in [
            ("tree", totals.tree, Int(totals.size)),
            ("stream", totals.streams, audited.leavesOutStreams ? totals.streams : memberships),
            ("sealed claims", totals.sealed, audited.leavesOutClaims ? totals.sealed : sealedRows),
            ("checkpoint", totals.checkpoints, checkpointRows),
        ] where rows != derived {
            found(nil, "the store has \(rows) \(name) rows where the entries account for \(derived)")
        }
        if audited.identity != identities.newest {
            found(nil, "the store's identity is not what its entries establish")
        }
    }

    mutating func compare(lock: LockRecord?, path: String, root: (UInt64) throws -> Digest) {
        guard let lock else { return found(nil, "the checkpoint lock \(path) is missing or damaged") }
        do {
            let (note, locked) = try lock.checkpoint()
            try identities.verify(note)
            guard locked.size <= range.size else {
                return found(nil, "a checkpoint of \(locked.size) entries was signed, and there are \(range.size)")
            }
            if try root(locked.size) != locked.root {
                found(nil, "the newest checkpoint has another root than the first \(locked.size) entries")
            }
        } catch {
            found(nil, "the checkpoint in \(path) does not hold: \(error)")
        }
    }
}
