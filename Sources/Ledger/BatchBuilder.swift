import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Turns waiting calls into entries inside one write transaction. It belongs to the writer thread and lives for one
/// transaction; nothing it does counts until that commits.
struct BatchBuilder {
    /// The state after the calls accepted so far.
    private(set) var state: ChainState
    /// What the look-up index must learn, in ledger order.
    private(set) var records: [LookupRecord] = []
    private var requests: [RequestReference: UInt64] = [:]
    private var writer = JSONWriter(capacity: 4_096)
    private let schema: StoreSchema
    private let index: LookupIndex
    private let now: Int64
    private var hasher = SHA256Hasher()

    init(state: ChainState, schema: StoreSchema, index: LookupIndex, now: Int64) {
        self.state = state
        self.schema = schema
        self.index = index
        self.now = now
    }

    /// Records all of a call's events or none.
    mutating func record(
        _ call: PendingAppend,
        _ transaction: borrowing WriteTransaction,
        _ claims: inout SealedClaims,
        _ lengths: inout StreamLengths
    ) throws -> Result<[Receipt], LedgerError> {
        let result = try stage(call, transaction, &claims, &lengths)
        if case .success = result { lengths.keep() } else { lengths.takeBack() }
        return result
    }

    private mutating func stage(
        _ call: PendingAppend,
        _ transaction: borrowing WriteTransaction,
        _ claims: inout SealedClaims,
        _ lengths: inout StreamLengths
    ) throws -> Result<[Receipt], LedgerError> {
        var draft = state
        var staged: [Staged] = []
        staged.reserveCapacity(call.submissions.count)
        var receipts: [Receipt] = []
        receipts.reserveCapacity(call.submissions.count)
        var fresh: [RequestReference: Int] = [:]
        let submitter = SubmitterReference(call.submitter, hasher)
        let references = call.submissions.map { RequestReference(submitter: submitter, request: $0.request) }
        let recorded = try index.indexes(of: references)
        for (position, submission) in call.submissions.enumerated() {
            let reference = references[position]
            if let first = fresh[reference] {
                // An event of this very call is not written yet, so its content is compared where it is staged.
                guard staged[first].submission == submission else {
                    return .failure(
                        .invalidEvent(
                            event: position,
                            field: "request",
                            rule: "must not be that of another event of the call with other content"
                        )
                    )
                }
                receipts.append(staged[first].receipt(duplicate: true))
                continue
            }
            if let known = recorded[position] ?? requests[reference] {
                guard try matches(known, submission, transaction, &claims) else {
                    return .failure(.requestConflict(event: position, index: known))
                }
                receipts.append(try receipt(ofDuplicate: known, transaction))
                continue
            }
            let next = try stage(submission, by: call.submitter, reference, &draft, &claims, &lengths, transaction)
            guard next.bytes.count <= FormatLimits.entryBytes else {
                return .failure(
                    .invalidEvent(
                        event: position,
                        field: "event",
                        rule: "must make an entry of at most \(FormatLimits.entryBytes) bytes"
                    )
                )
            }
            fresh[reference] = staged.count
            receipts.append(next.receipt(duplicate: false))
            staged.append(next)
        }
        for next in staged { try write(next, transaction, &claims) }
        for next in staged { requests[next.reference] = next.entry.index }
        state = draft
        return .success(receipts)
    }

    // MARK: One event

    /// An entry that is made but not yet written.
    private final class Staged {
        let submission: Submission
        let reference: RequestReference
        let entry: Entry
        let bytes: [UInt8]
        let leaf: Digest
        /// The tree row: the hashes of every subtree this leaf completes.
        let row: [UInt8]
        let openings: [[Opening]]

        init(
            submission: Submission,
            reference: RequestReference,
            entry: Entry,
            bytes: [UInt8],
            leaf: Digest,
            row: [UInt8],
            openings: [[Opening]]
        ) {
            self.submission = submission
            self.reference = reference
            self.entry = entry
            self.bytes = bytes
            self.leaf = leaf
            self.row = row
            self.openings = openings
        }

        func receipt(duplicate: Bool) -> Receipt {
            Receipt(index: entry.index, leaf: leaf, time: entry.time, duplicate: duplicate)
        }
    }

    private mutating func stage(
        _ submission: Submission,
        by submitter: String,
        _ reference: RequestReference,
        _ draft: inout ChainState,
        _ sealing: inout SealedClaims,
        _ lengths: inout StreamLengths,
        _ transaction: borrowing WriteTransaction
    ) throws -> Staged {
        var memberships: [Entry.Membership] = []
        memberships.reserveCapacity(submission.streams.count)
        for stream in submission.streams {
            let length = try lengths.next(stream) { try schema.length(transaction, of: stream) }
            memberships.append(Entry.Membership(stream: stream, number: Int64(length)))
        }
        var openings: [[Opening]] = []
        var scopes: [Entry.Scope] = []
        for scope in submission.claims {
            var opened: [Opening] = []
            var committed: [CommittedClaim] = []
            opened.reserveCapacity(scope.claims.count)
            committed.reserveCapacity(scope.claims.count)
            for claim in scope.claims {
                let opening = Opening(
                    scope: scope.scope,
                    name: claim.name,
                    salt: try sealing.salt(),
                    value: claim.value
                )
                opened.append(opening)
                committed.append(CommittedClaim(name: claim.name, commitment: hasher.hash(opening.preimage)))
            }
            openings.append(opened)
            scopes.append(Entry.Scope(scope: scope.scope, claims: committed))
        }
        let entry = Entry(
            index: draft.size,
            previous: draft.previous,
            time: draft.nextTime(now),
            submitter: submitter,
            submission: submission,
            streams: memberships,
            claims: scopes
        )
        writer.clear()
        entry.encode(to: &writer)
        let bytes = writer.bytes
        let leaf = hasher.leaf(bytes)
        var row: [UInt8] = []
        row.reserveCapacity(64)
        draft.range.append(leaf, hasher: &hasher) { _, digest in digest.append(to: &row) }
        draft.previous = leaf
        draft.time = entry.time
        return Staged(
            submission: submission,
            reference: reference,
            entry: entry,
            bytes: bytes,
            leaf: leaf,
            row: row,
            openings: openings
        )
    }

    private mutating func write(
        _ staged: Staged,
        _ transaction: borrowing WriteTransaction,
        _ claims: inout SealedClaims
    ) throws {
        let entry = staged.entry
        let key = StoreKey.number(entry.index)
        try transaction.append(schema.entries, number: entry.index, staged.bytes)
        try transaction.append(schema.tree, number: entry.index, staged.row)
        for membership in entry.streams {
            try transaction.insert(
                schema.streams,
                StoreKey.stream(membership.stream, number: UInt64(membership.number)),
                key
            )
        }
        for (ordinal, opened) in staged.openings.enumerated() {
            let sealed = try claims.seal(
                opened,
                scope: entry.claims[ordinal].scope,
                index: entry.index,
                transaction,
                schema
            )
            try transaction.append(schema.sealed, StoreKey.sealed(index: entry.index, ordinal: ordinal), sealed)
        }
        records.append(
            LookupRecord(
                entry: entry,
                leaf: staged.leaf,
                request: staged.reference,
                openings: staged.openings,
                hash: index.hash
            )
        )
    }

    // MARK: Duplicates

    private func receipt(
        ofDuplicate known: UInt64,
        _ transaction: borrowing WriteTransaction
    ) throws -> Receipt {
        let entry = try Entry(schema.entry(transaction, known))
        let leaf = try schema.leaf(transaction, known)
        return Receipt(index: known, leaf: leaf, time: entry.time, duplicate: true)
    }

    /// Whether the entry at `known` records the same content. Its own salts give the submission's commitments, so no
    /// second digest of the content needs to be kept anywhere.
    private func matches(
        _ known: UInt64,
        _ submission: Submission,
        _ transaction: borrowing WriteTransaction,
        _ claims: inout SealedClaims
    ) throws -> Bool {
        let entry = try Entry(schema.entry(transaction, known))
        let body = JSONValue.object(submission.body).canonicalBytes
        guard entry.type == submission.type.name, entry.actor == submission.actor,
            entry.streams.map(\.stream) == submission.streams, JSONValue.object(entry.body).canonicalBytes == body,
            entry.claims.map(\.scope) == submission.claims.map(\.scope)
        else { return false }
        for (scope, submitted) in zip(entry.claims, submission.claims) {
            guard scope.claims.map(\.name) == submitted.claims.map(\.name) else { return false }
        }
        do {
            let openings = try claims.openings(of: entry, transaction, schema)
            let values = submission.claims.flatMap { $0.claims.map(\.value.canonicalBytes) }
            return openings.map(\.value.canonicalBytes) == values
        } catch LedgerError.erasedClaims {
            // The values are gone for good; what can still be compared is the same.
            return true
        }
    }
}
