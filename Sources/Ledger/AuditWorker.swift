import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Derives everything from the entries of a chunk that needs no other entry. One thread uses it at a time.
final class AuditWorker: @unchecked Sendable {
    // Sendable: it is handed from thread to thread, never shared; its makers wait for the threads that use it.
    private let environment: Environment
    private let schema: StoreSchema
    private let lookups: LookupAudit?
    private let leavesOutClaims: Bool
    private let keys: ClaimKeys?
    private var claims: SealedClaims?
    private var hasher = SHA256Hasher()
    private let scopeHasher = SHA256Hasher()
    private var key: [UInt8] = []

    init(_ audited: Audited) throws {
        environment = audited.environment
        schema = audited.schema
        claims = try audited.sealedClaims()
        lookups = audited.lookups
        leavesOutClaims = audited.leavesOutClaims
        keys = audited.claimKeys
    }

    /// Examines the entries from `first` on, at most a chunk.
    func examine(from first: UInt64, size: UInt64) -> AuditChunk {
        var chunk = AuditChunk(first: first)
        let count = Int(min(AuditChunk.entries, size - first))
        var records: [LookupRecord] = []
        let isIndexed = lookups.map { first + UInt64(count) <= $0.indexed && count == AuditChunk.entries } ?? false
        if isIndexed { records.reserveCapacity(count) }
        var knowsDocuments = true
        do {
            // A short transaction each, so that an audit of hours doesn't keep the daemon from reusing pages.
            try environment.read { transaction in
                var leaves: [Digest] = []
                leaves.reserveCapacity(count)
                let entries = try self.entries(from: first, count, &leaves, &chunk, transaction)
                try examineTree(&leaves, &chunk, transaction)
                for (position, entry) in entries.enumerated() {
                    guard let entry else { continue }
                    // Its place, whatever a damaged entry says of itself.
                    let index = first + UInt64(position)
                    examineChain(entry, position, leaves, &chunk)
                    examineType(entry, index, &chunk)
                    examineStreams(entry, index, &chunk)
                    let documents = examineClaims(entry, index, &chunk, transaction)
                    if documents == nil { knowsDocuments = false }
                    chunk.requests.append(AuditRequests.hash(entry))
                    chunk.erasures += Erasing.scopes(namedBy: entry).map { (index, $0) }
                    chunk.claimed += entry.claims.map { (index, $0.scope) }
                    if isIndexed {
                        let request = RequestReference(entry, hasher)
                        chunk.requestSum &+= AuditSum.request(request, index: index)
                        records.append(
                            LookupRecord(
                                index: index,
                                leaf: leaves[position],
                                type: entry.type,
                                submitter: entry.submitter,
                                request: request,
                                documents: documents ?? DocumentDigests()
                            )
                        )
                    }
                }
                chunk.last = AuditChunk.Link(leaf: leaves[count - 1], time: chunk.last?.time)
            }
            if isIndexed, let lookups {
                try lookups.compare(records, knowsDocuments: knowsDocuments, &chunk)
            }
        } catch {
            chunk.found(first, "\(error)")
        }
        // Found part by part; told in the order of the ledger.
        chunk.findings = chunk.findings.enumerated().sorted { left, right in
            (left.element.index ?? .max, left.offset) < (right.element.index ?? .max, right.offset)
        }.map(\.element)
        return chunk
    }

    /// Reads entries and hashes them; nil in the place of one that is missing or malformed.
    private func entries(
        from first: UInt64,
        _ count: Int,
        _ leaves: inout [Digest],
        _ chunk: inout AuditChunk,
        _ transaction: borrowing ReadTransaction
    ) throws -> [Entry?] {
        var entries: [Entry?] = []
        entries.reserveCapacity(count)
        try transaction.forEach(schema.entries, from: first, count: count) { index, stored in
            guard let stored else {
                chunk.found(index, "the entry is missing")
                leaves.append(.zero)
                entries.append(nil)
                return
            }
            leaves.append(hasher.leaf(stored))
            do throws(EntryError) {
                let entry = try Entry([UInt8](stored))
                if entry.index != index { chunk.found(index, "says it is entry \(entry.index)") }
                entries.append(entry)
            } catch {
                chunk.found(index, "is malformed: \(error)")
                entries.append(nil)
            }
        }
        return entries
    }

    /// Compares the tree rows; where one has another leaf hash than the entry, the chain goes on with the row's, so
    /// that one changed entry is one finding.
    private func examineTree(
        _ leaves: inout [Digest],
        _ chunk: inout AuditChunk,
        _ transaction: borrowing ReadTransaction
    ) throws {
        var derived: [UInt8] = []
        try transaction.forEach(schema.tree, from: chunk.first, count: leaves.count) { index, row in
            let position = Int(index - chunk.first)
            let stored = row.flatMap { Digest($0, at: 0) }
            if stored != leaves[position] { chunk.found(index, "does not hash to its leaf in the tree") }
            if let stored { leaves[position] = stored }
            derived.removeAll(keepingCapacity: true)
            chunk.range.append(leaves[position], hasher: &hasher) { _, digest in digest.append(to: &derived) }
            guard let row, stored != nil else { return }
            // The hashes above the chunk are compared where the chunks are joined.
            let isWhole = chunk.range.size == AuditChunk.entries
            if isWhole { chunk.rowAbove = Array(row.dropFirst(derived.count)) }
            if isWhole ? !row.starts(with: derived) : !row.elementsEqual(derived) {
                chunk.found(index, "the tree nodes it completes are not the hashes of their children")
            }
        }
    }

    private func examineChain(_ entry: Entry, _ position: Int, _ leaves: [Digest], _ chunk: inout AuditChunk) {
        let index = chunk.first + UInt64(position)
        if position == 0 {
            chunk.before = AuditChunk.Link(leaf: entry.previous, time: entry.time)
        } else if entry.previous != leaves[position - 1] {
            chunk.found(index, "does not name the leaf hash of the entry before it")
        }
        if let time = chunk.last?.time, entry.time <= time {
            chunk.found(index, "is not later than the entry before it")
        }
        chunk.last = AuditChunk.Link(leaf: leaves[position], time: entry.time)
        if index == 0 || entry.type == "system.recovered" { chunk.establishing.append((index, entry)) }
    }

    private func examineType(_ entry: Entry, _ index: UInt64, _ chunk: inout AuditChunk) {
        guard let type = EventCatalogue.type(named: entry.type) else {
            return chunk.found(index, "its type is not in the event catalogue")
        }
        if let broken = type.contradiction(entry) { chunk.found(index, broken) }
        if type.name == "ledger.created", index > 0 { chunk.found(index, "is ledger.created and not the first entry") }
        if type.isReserved != (entry.submitter == SystemEvents.submitter) {
            chunk.found(index, "has a submitter that may not submit its type")
        }
        if type.isReserved, entry.actor != .system { chunk.found(index, "has an actor that is not system") }
    }

    private func examineStreams(_ entry: Entry, _ index: UInt64, _ chunk: inout AuditChunk) {
        for membership in entry.streams {
            chunk.memberships += 1
            chunk.streamSum &+= AuditSum.membership(
                membership.stream,
                number: UInt64(membership.number),
                index: index
            )
        }
    }

    /// Opens the claims and gives what the look-up index must have of them; nil where nobody can tell.
    private func examineClaims(
        _ entry: Entry,
        _ index: UInt64,
        _ chunk: inout AuditChunk,
        _ transaction: borrowing ReadTransaction
    ) -> DocumentDigests? {
        guard !entry.claims.isEmpty else { return DocumentDigests() }
        guard !leavesOutClaims else { return nil }
        // Claims are sealed for the index; they would not open for another.
        guard claims != nil, entry.index == index else {
            countSealed(entry, index, &chunk, transaction)
            return nil
        }
        var documents = DocumentDigests()
        var opened = 0
        do {
            let erased = try claims?.open(entry, transaction, schema) { _, name, _, value in
                opened += 1
                documents.note(name.utf8.span, value)
            }
            chunk.openedClaims += opened
            if let erased, erased.isEmpty {
                // Each opened, so each is there.
                chunk.sealedRows += entry.claims.count
                return documents
            }
            documents = DocumentDigests()
        } catch let damage as StoreDamage {
            chunk.found(index, damage.what)
            documents = entry.hasDocuments() ? .unread : DocumentDigests()
        } catch {
            chunk.found(index, "its sealed claims cannot be opened: \(error)")
        }
        countSealed(entry, index, &chunk, transaction)
        return documents
    }

    /// Counts the rows of claims that are not all opened, and the claims that can't be.
    private func countSealed(
        _ entry: Entry,
        _ index: UInt64,
        _ chunk: inout AuditChunk,
        _ transaction: borrowing ReadTransaction
    ) {
        for ordinal in entry.claims.indices {
            StoreKey.sealed(index: index, ordinal: ordinal, in: &key)
            let isThere = try? transaction.withValue(schema.sealed, key) { !$0.isEmpty }
            if isThere == true { chunk.sealedRows += 1 }
            let claims = entry.claims[ordinal]
            switch try? schema.claimsState(of: claims.scope, index, ordinal, transaction, keys, scopeHasher) {
            case .sealed?: continue
            case .erased?: chunk.erasedClaims += claims.claims.count
            case .keyless? where isThere != true: chunk.erasedClaims += claims.claims.count
            case .missing?, .keyless?: chunk.lostClaims += claims.claims.count
            case nil: break
            }
            chunk.lacksClaims = true
        }
    }
}
