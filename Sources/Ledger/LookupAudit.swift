import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Compares the look-up index with the entries it was made from, as far as it has followed the log.
final class LookupAudit: Sendable {
    /// What the entries say the index must have.
    struct Sums {
        var requests: UInt64 = 0
        /// Whether entries could not be read, so that what they made is not in the sums.
        var lackEntries = false

        mutating func add(_ chunk: AuditChunk) {
            lackEntries = lackEntries || chunk.lacksEntries
            requests &+= chunk.requestSum
        }
    }

    /// Entries the index held when the audit began.
    let indexed: UInt64
    private let index: LookupIndex
    private let totals: LookupIndex.Totals
    /// Whether document digests can be recomputed: their hash is keyed.
    private let isKeyed: Bool

    /// Nil where the index is of another ledger, an earlier incarnation or another version: the daemon makes it anew at
    /// its start.
    init?(directory: String, key: SecretBytes?, identity: LedgerIdentity) throws {
        index = try LookupIndex(readOnly: directory, key: key ?? SecretBytes(count: 32) { _ in })
        isKeyed = key != nil
        totals = try index.totals()
        indexed = totals.state.indexed
        guard totals.ledger == identity.encoded else { return nil }
    }

    /// Compares a block.
    ///
    /// - Parameter knowsDocuments: the records have what the index must have of documents; else they are not compared.
    func compare(_ records: [LookupRecord], knowsDocuments: Bool, _ chunk: inout AuditChunk) throws {
        guard UInt64(records.count) == LookupBlock.entries else {
            chunk.lacksEntries = true
            return
        }
        let block = LookupBlock(records, hash: index.hash)
        if try !index.agrees(block) { chunk.contradictsLookups = true }
        if isKeyed, knowsDocuments, try !index.agreesOnDocuments(block) { chunk.contradictsDocuments = true }
    }

    /// The sum over the request keys the index holds.
    func requestSum() throws -> UInt64 { try index.requestSum(below: indexed) }

    /// What the index says of an entry that the entry doesn't, its documents apart; nil where they agree.
    ///
    /// - Parameters:
    ///   - index: where the entry stands.
    ///   - leaf: its leaf hash.
    func contradiction(
        _ entry: Entry,
        at index: UInt64,
        _ leaf: Digest,
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema
    ) throws -> String? {
        let record = LookupRecord(
            index: index,
            leaf: leaf,
            type: entry.type,
            submitter: entry.submitter,
            request: RequestReference(entry, SHA256Hasher()),
            documents: DocumentDigests()
        )
        do {
            let contradiction = try self.index.contradiction(record)
            // Of two entries with one request key, which is no fault of the index, it names the first.
            guard contradiction == LookupIndex.requestContradiction, repeated > 0,
                let first = try self.index.indexes(of: [record.request])[0], first < index,
                let earlier = try? Entry(schema.entry(transaction, first)),
                RequestReference(earlier, SHA256Hasher()) == record.request
            else { return contradiction }
            return nil
        } catch is LookupDamage {
            return LookupIndex.requestContradiction
        }
    }

    /// Compares what the index has of the documents of a block's entries with what they say by now.
    ///
    /// - Parameters:
    ///   - block: its number.
    ///   - log: has the entries, and the keys of their claims.
    /// - Returns: the findings; none where documents can't be known, for their hash is keyed.
    func documentFindings(_ block: UInt64, _ environment: Environment, _ schema: StoreSchema, _ claims: SealedClaims)
        throws
        -> [AuditFinding]
    {
        guard isKeyed else { return [] }
        // The index before the store: beside the daemon, what is erased later is in the store by then.
        let (records, forgotten) = try index.documentRecords(block)
        var held: [UInt16: [ID128]] = [:]
        for record in records { held[record.offset, default: []].append(record.key) }
        var claims = claims
        var findings: [AuditFinding] = []
        for position in 0..<LookupBlock.entries {
            let number = block * LookupBlock.entries + position
            let has = held[UInt16(truncatingIfNeeded: position)] ?? []
            var documents = DocumentDigests()
            let erased: [ErasedScope]?
            do {
                erased = try environment.read { transaction in
                    guard let entry = try? Entry(schema.entry(transaction, number)), entry.index == number else {
                        return nil
                    }
                    guard entry.hasDocuments() else { return [] }
                    return try claims.open(entry, transaction, schema) { _, name, _, value in
                        documents.note(name.utf8.span, value)
                    }
                }
            } catch is StoreDamage {
                erased = nil
            }
            // What can't be read is a finding already, and nobody can tell of which documents it is.
            guard let erased else { continue }
            if erased.isEmpty {
                // Neither fewer nor more, nor one twice.
                if has.sorted() != LookupBlock.keys(documents, index.hash).sorted() {
                    findings.append(
                        AuditFinding(index: number, what: "the look-up index disagrees about its document digest")
                    )
                }
            } else if !has.isEmpty, !erased.contains(where: { ($0.by ?? 0) >= forgotten && $0.by != nil }) {
                let what = "the look-up index still has a document of it, whose claims were erased"
                findings.append(AuditFinding(index: number, what: what))
            }
        }
        return findings
    }

    /// How many of the entries the index holds repeat a request of an earlier one.
    var repeated: UInt64 { totals.state.repeated }

    /// What is wrong with the index as a whole: rows that are not as they were written, missing, or too many.
    func damages() throws -> [LookupDamage] { try index.damages() }
}
