import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// What the writer keeps from one transaction to the next for those who build them. It belongs to the writer thread.
struct BatchMemory {
    var claims: SealedClaims
    var lengths = StreamLengths()
    var staging = Staging()
    var hasher = SHA256Hasher()
    var conflicts = ConflictGuard()

    init(claims: SealedClaims) { self.claims = claims }

    /// Forgets what came from a transaction that was aborted.
    mutating func forget() {
        claims.forgetKeys()
        lengths.forget()
    }
}

/// Turns waiting calls into entries inside one write transaction. It belongs to the writer thread and lives for one
/// transaction; nothing it does counts until that commits.
struct BatchBuilder {
    /// The state after the calls accepted so far.
    private(set) var state: ChainState
    /// What the look-up index must learn, in ledger order.
    private(set) var records: [LookupRecord] = []
    /// The request keys of this transaction's entries; those of the call at hand are at `state.size` and above.
    private var requests: [RequestReference: UInt64] = [:]
    /// Those of the calls recorded so far, not written yet.
    private var memberships: [Staging.Membership] = []
    private let schema: StoreSchema
    private let now: Int64
    /// Which events of the calls made an entry before this transaction.
    private let recorded: RecordedEvents
    /// Whether damage turned out to be in the way of this batch: then every call's rows are looked for before it is taken.
    private let isSuspicious: Bool
    /// Entries that destroy keys.
    private(set) var erasing: [UInt64] = []
    /// Where the events of the call at hand begin.
    private var first = 0

    init(
        _ calls: [PendingAppend],
        state: ChainState,
        schema: StoreSchema,
        index: LookupIndex,
        now: Int64,
        isSuspicious: Bool = false,
        _ hasher: SHA256Hasher
    ) throws {
        self.isSuspicious = isSuspicious
        self.state = state
        self.schema = schema
        self.now = now
        recorded = try RecordedEvents(calls, schema, index, hasher)
        records.reserveCapacity(recorded.references.count)
        requests.reserveCapacity(recorded.references.count)
    }

    /// Records all events of the next call or none.
    mutating func record(
        _ call: PendingAppend,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> Result<[Receipt], LedgerError> {
        defer { first += call.submissions.count }
        if let reservation = call.reservation { return try settle(reservation, transaction, &memory) }
        memory.staging.clear()
        let result: Result<[Receipt], LedgerError>
        do {
            result = try stage(call, transaction, &memory)
        } catch let damage as StoreDamage {
            // What was signed is not hurt by it, nor are the other calls; this one can't be answered rightly.
            result = .failure(.damaged(index: damage.index, what: damage.what))
        } catch let refusal as LedgerError {
            result = .failure(refusal)
        }
        switch result {
        case .success:
            let erased = memory.staging.events.filter { call.submissions.events[$0.position].type.isErasing }
            erasing += erased.map(\.index)
            try write(call, transaction, &memory)
            memory.lengths.keep()
        case .failure:
            for event in memory.staging.events { requests[event.reference] = nil }
            memory.claims.takeBack(memory.staging.freshScopes)
            memory.claims.pardon(memory.staging.condemned)
            memory.lengths.takeBack()
        }
        return result
    }

    private mutating func stage(
        _ call: PendingAppend,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> Result<[Receipt], LedgerError> {
        var draft = state
        var receipts: [Receipt] = []
        receipts.reserveCapacity(call.submissions.count)
        for position in 0..<call.submissions.count {
            let reference = recorded.references[first + position]
            if let known = recorded[first + position] ?? requests[reference] {
                if known >= draft.size { throw LookupDamage("it knows a request of entry \(known)") }
                if known >= state.size {
                    // An event of this very call is not written yet, so its content is compared where it stands.
                    let first = memory.staging.events[Int(known - state.size)]
                    let events = call.submissions.events
                    guard call.submissions.isSame(events[first.position], events[position]) else {
                        return .failure(
                            .invalidEvent(
                                event: position,
                                field: "request",
                                rule: "must not be that of another event of the call with other content"
                            )
                        )
                    }
                    receipts.append(first.receipt(duplicate: true))
                } else {
                    switch try recorded.answer(call, position, first: first, entry: known, transaction, &memory) {
                    case .success(let receipt): receipts.append(receipt)
                    case .failure(let refusal): return .failure(refusal)
                    }
                }
                continue
            }
            if let refusal = try stage(call, position, reference, &draft, transaction, &memory) {
                return .failure(refusal)
            }
            if let refusal = try erase(call, position, transaction, &memory) { return .failure(refusal) }
            guard let event = memory.staging.events.last, event.entry.count <= FormatLimits.entryBytes else {
                return .failure(
                    .invalidEvent(
                        event: position,
                        field: "event",
                        rule: "must make an entry of at most \(FormatLimits.entryBytes) bytes"
                    )
                )
            }
            requests[reference] = event.index
            receipts.append(event.receipt(duplicate: false))
        }
        state = draft
        return .success(receipts)
    }

    // MARK: One event

    private func stage(
        _ call: PendingAppend,
        _ position: Int,
        _ reference: RequestReference,
        _ draft: inout ChainState,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> LedgerError? {
        let submissions = call.submissions
        let event = submissions.events[position]
        let index = draft.size
        guard event.earliestIndex <= index else {
            let field = event.type.fieldCitingBeyond(index, in: submissions.objectText(event.body)) ?? ""
            return .invalidEvent(event: position, field: "body.\(field)", rule: "must cite only what comes before it")
        }
        guard let time = draft.nextTime(now) else { return .clockUnconfirmed(reason: "no later time can be written") }
        memory.staging.numbers.removeAll(keepingCapacity: true)
        for stream in submissions.streams[event.streams] {
            let number = try memory.lengths.next(stream) { try schema.length(transaction, of: stream) }
            memory.staging.numbers.append(number)
            memory.staging.memberships.append(Staging.Membership(stream: stream, number: number, index: index))
        }
        if let erased = try seal(event, call.events, index, transaction, &memory) {
            return .invalidEvent(
                event: position,
                field: "claims.\(erased)",
                rule: "must not lie under a scope that was erased: take an id that was never used"
            )
        }
        let start = memory.staging.bytes.count
        call.events.entries.append(
            position,
            index: index,
            previous: draft.previous,
            numbers: memory.staging.numbers,
            time: time,
            to: &memory.staging.bytes
        )
        let end = memory.staging.bytes.count
        let leaf = memory.staging.bytes.withUnsafeBytes { bytes in
            memory.hasher.leaf(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        }
        draft.range.append(leaf, hasher: &memory.hasher) { _, digest in digest.append(to: &memory.staging.bytes) }
        draft.previous = leaf
        draft.time = time
        memory.staging.events.append(
            Staging.Event(
                position: position,
                reference: reference,
                index: index,
                time: time,
                leaf: leaf,
                entry: start..<end,
                row: end..<memory.staging.bytes.count
            )
        )
        return nil
    }

    /// - Returns: the scope that can't get a key any more, if one can't.
    private func seal(
        _ event: Submissions.Event,
        _ prepared: PreparedEvents,
        _ index: UInt64,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> StreamID? {
        let streams = prepared.submissions.streams[event.streams]
        for (ordinal, position) in event.scopes.enumerated() {
            let scope = prepared.submissions.scopes[position].scope
            // A scope is one of the event's streams; at number 0 it has no entries, and so no data key yet. But it may have
            // been erased before it had any.
            let number = streams.firstIndex(of: scope).map { memory.staging.numbers[$0 - streams.startIndex] }
            if isSuspicious { try requireUnused(index, ordinal, scope, isNew: number == 0, transaction) }
            let start = memory.staging.bytes.count
            let isSealed = try memory.claims.seal(
                prepared.plaintext.span.extracting(prepared.sealed[position]),
                scope: scope,
                index: index,
                transaction,
                schema,
                freshScopes: &memory.staging.freshScopes,
                to: &memory.staging.bytes
            )
            guard isSealed else { return scope }
            memory.staging.sealed.append(
                Staging.Sealed(index: index, ordinal: ordinal, bytes: start..<memory.staging.bytes.count)
            )
        }
        return nil
    }

    /// Refuses what would be sealed under keys that the store has rows of already.
    private func requireUnused(
        _ index: UInt64,
        _ ordinal: Int,
        _ scope: StreamID,
        isNew: Bool,
        _ transaction: borrowing WriteTransaction
    ) throws {
        if isNew, case .slot? = try schema.scopeRow(of: scope, transaction, SHA256Hasher()) {
            throw StoreDamage(nil, "it has a data key, but no entry is found of it", of: scope)
        }
        let last = try transaction.cursor(schema.sealed) { try $0.last() }?.key
        guard last?.lexicographicallyPrecedes(StoreKey.sealed(index: index, ordinal: ordinal)) ?? true else {
            throw StoreDamage(nil, "claims are sealed for an entry there is not")
        }
    }

    // MARK: Reservations

    /// Reserves the key of a scope, or ends that; nothing is recorded.
    private func settle(
        _ reservation: KeyReservation,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> Result<[Receipt], LedgerError> {
        do {
            switch reservation.wish {
            case .reserve:
                if let key = try memory.claims.reserve(reservation.scope, transaction, schema) {
                    reservation.grant(key)
                }
            case .release: try memory.claims.release(reservation.scope, transaction, schema)
            }
            return .success([])
        } catch let damage as StoreDamage {
            return .failure(.damaged(index: damage.index, what: damage.what))
        } catch let refusal as LedgerError {
            return .failure(refusal)
        }
    }

    // MARK: Erasures

    /// Has nothing that comes after an event be sealed any more under the scopes it erases.
    ///
    /// - Returns: why it can't be recorded: it must not say that there are more keys or fewer than there are.
    private func erase(
        _ call: PendingAppend,
        _ position: Int,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws -> LedgerError? {
        guard call.submissions.events[position].type.isErasing, let entry = try memory.staging.lastEntry() else {
            return nil
        }
        let scopes = Erasing.scopes(namedBy: entry)
        if let stated = entry.body["keys_destroyed"]?.int {
            var keyed: Set<StreamID> = []
            for scope in scopes where !keyed.contains(scope) {
                if try memory.claims.isKeyed(scope, transaction, schema) { keyed.insert(scope) }
            }
            guard stated == keyed.count else {
                let rule = "must be how many of the scopes have a key that is not destroyed yet: \(keyed.count)"
                return .invalidEvent(event: position, field: "body.keys_destroyed", rule: rule)
            }
        }
        memory.staging.condemned += memory.claims.condemn(scopes, by: entry.index)
        return nil
    }

    // MARK: Writing

    private mutating func write(
        _ call: PendingAppend,
        _ transaction: borrowing WriteTransaction,
        _ memory: inout BatchMemory
    ) throws {
        let bytes = memory.staging.bytes.span
        var key: [UInt8] = []
        key.reserveCapacity(25)
        // Database by database: LMDB finds the place of a key faster where the last one went.
        for event in memory.staging.events {
            try transaction.append(schema.entries, number: event.index, bytes.extracting(event.entry))
        }
        for event in memory.staging.events {
            try transaction.append(schema.tree, number: event.index, bytes.extracting(event.row))
        }
        for sealed in memory.staging.sealed {
            StoreKey.sealed(index: sealed.index, ordinal: sealed.ordinal, in: &key)
            try transaction.append(schema.sealed, key.span, bytes.extracting(sealed.bytes))
        }
        memberships += memory.staging.memberships
        for event in memory.staging.events {
            records.append(
                LookupRecord(
                    index: event.index,
                    leaf: event.leaf,
                    type: call.submissions.events[event.position].type.name,
                    submitter: call.submitter,
                    request: event.reference,
                    documents: call.events.documents[event.position]
                )
            )
        }
    }

    /// Writes what stands under keys that do not follow the order of the entries, sorted, once all calls are recorded.
    ///
    /// - Throws: `SuspectBatch` where damage is in the way, and no call of a suspicious batch was refused for it.
    mutating func finish(_ transaction: borrowing WriteTransaction, _ memory: inout BatchMemory) throws {
        memberships.sort { left, right in
            (left.stream.id, left.stream.kind.code, left.number) < (
                right.stream.id, right.stream.kind.code, right.number
            )
        }
        do {
            try schema.streams.insert(transaction, ascending: memberships.count) { position, key, content in
                let membership = memberships[position]
                StoreKey.stream(membership.stream, number: membership.number, in: &key)
                StoreKey.number(membership.index, in: &content)
            }
            try memory.claims.writeFreshKeys(transaction, schema)
            if !erasing.isEmpty {
                try schema.setPendingErasures(schema.pendingErasures(transaction) + erasing, transaction)
            }
        } catch let damage as StoreDamage where !isSuspicious {
            throw SuspectBatch(damage: damage)
        }
        memory.lengths.trim()
    }
}

/// Damage is in the way of one of the calls, and it isn't known yet of which.
struct SuspectBatch: Error {
    let damage: StoreDamage
}
