import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Which events of a batch were recorded before, as the look-up index has it, and what is answered for them: the receipt
/// there is, or that they were recorded with other content. That takes reading only, so it is answered whatever keeps
/// others from being recorded. It belongs to the writer thread.
struct RecordedEvents {
    /// The references of all events of the calls, one after the other.
    let references: [RequestReference]
    /// Which entries they made; looked up together, for a look-up of its own for each call costs more than the call.
    private let entries: [UInt64?]
    private let schema: StoreSchema

    /// - Throws: `LookupDamage`.
    init(_ calls: [PendingAppend], _ schema: StoreSchema, _ index: LookupIndex, _ hasher: SHA256Hasher) throws {
        self.schema = schema
        var references: [RequestReference] = []
        references.reserveCapacity(calls.reduce(0) { $0 + $1.submissions.count })
        var submitter: (name: String, reference: SubmitterReference)?
        for call in calls {
            if submitter?.name != call.submitter {
                submitter = (call.submitter, SubmitterReference(call.submitter, hasher))
            }
            guard let reference = submitter?.reference else { continue }
            for event in call.submissions.events {
                references.append(RequestReference(submitter: reference, request: event.request))
            }
        }
        self.references = references
        entries = try index.indexes(of: references)
    }

    /// The entry that the event at a place among those of all calls made; nil where it made none.
    subscript(_ place: Int) -> UInt64? { entries[place] }

    /// Answers a call of which every event was recorded before; nil where one was not.
    ///
    /// - Parameters:
    ///   - first: the place of its first event among those of all calls.
    ///   - size: of the ledger.
    /// - Throws: `LookupDamage` where the look-up index is found to be wrong.
    func answer(
        _ call: PendingAppend,
        first: Int,
        size: UInt64,
        _ transaction: borrowing ReadTransaction,
        _ memory: inout BatchMemory
    ) throws -> Result<[Receipt], LedgerError>? {
        let positions = 0..<call.submissions.count
        guard positions.allSatisfy({ entries[first + $0] != nil }) else { return nil }
        var receipts: [Receipt] = []
        for position in positions {
            guard let known = entries[first + position] else { return nil }
            guard known < size else { throw LookupDamage("it knows a request of entry \(known)") }
            do {
                switch try answer(call, position, first: first, entry: known, transaction, &memory) {
                case .success(let receipt): receipts.append(receipt)
                case .failure(let refusal): return .failure(refusal)
                }
            } catch let damage as StoreDamage {
                return .failure(.damaged(index: damage.index, what: damage.what))
            }
        }
        return .success(receipts)
    }

    /// Answers an event that made an entry before this transaction.
    ///
    /// - Throws: `StoreDamage` where that entry is not what was signed; `LookupDamage` where it is, but was not made by
    ///   this request key, whatever the look-up index says.
    func answer(
        _ call: PendingAppend,
        _ position: Int,
        first: Int,
        entry known: UInt64,
        _ transaction: borrowing some Readable & ~Copyable,
        _ memory: inout BatchMemory
    ) throws -> Result<Receipt, LedgerError> {
        let now = LedgerClock.steadySeconds
        let wait = memory.conflicts.wait(of: call.submitter, entry: known, now: now)
        guard wait == 0 else { return .failure(.throttled(event: position, seconds: wait)) }
        let (entry, leaf) = try schema.intactEntry(transaction, known, &memory.hasher)
        guard RequestReference(entry, memory.hasher) == references[first + position] else {
            throw LookupDamage("it says that entry \(known) was made by another request")
        }
        let event = call.submissions.events[position]
        guard try matches(entry, call.submissions, event, transaction, &memory.claims) else {
            memory.conflicts.note(call.submitter, entry: known, now: now)
            return .failure(.requestConflict(event: position, index: known))
        }
        return .success(Receipt(index: known, leaf: leaf, time: entry.time, duplicate: true))
    }

    /// Whether an entry records the same content. Its own salts give the submission's commitments, so no second digest
    /// of the content needs to be kept anywhere.
    private func matches(
        _ entry: Entry,
        _ submissions: Submissions,
        _ event: Submissions.Event,
        _ transaction: borrowing some Readable & ~Copyable,
        _ claims: inout SealedClaims
    ) throws -> Bool {
        let scopes = submissions.scopes[event.scopes]
        guard entry.type.utf8.elementsEqual(event.type.name.utf8), entry.actor == event.actor,
            entry.streams.map(\.stream)[...] == submissions.streams[event.streams],
            submissions.isSame(event.body, entry.body), entry.claims.map(\.scope) == scopes.map(\.scope)
        else { return false }
        var values: [[ArraySlice<UInt8>]] = []
        for (scope, submitted) in zip(entry.claims, scopes) {
            let members = submissions.members[submitted.claims.members]
            guard
                scope.claims.elementsEqual(
                    members,
                    by: { claim, member in
                        // As they stand in canonical text; names of the format need no escapes.
                        claim.name.utf8.elementsEqual(submissions.text[member.name])
                    }
                )
            else { return false }
            values.append(members.map { submissions.text[$0.value] })
        }
        var isSame = true
        var next: (scope: Int, claim: Int) = (0, 0)
        // Erased values are gone for good; all others are compared.
        _ = try claims.open(entry, transaction, schema) { scope, _, _, value in
            if scope != next.scope { next = (scope, 0) }
            isSame = isSame && value.withUnsafeBufferPointer { $0.elementsEqual(values[scope][next.claim]) }
            next.claim += 1
        }
        return isSame
    }
}
