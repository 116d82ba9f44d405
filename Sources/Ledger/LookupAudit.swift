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
    /// - Parameter hasAllClaims: all claims of the block could be read; without them its documents are not compared.
    func compare(_ records: [LookupRecord], hasAllClaims: Bool, _ chunk: inout AuditChunk) throws {
        guard UInt64(records.count) == LookupBlock.entries else {
            chunk.lacksEntries = true
            return
        }
        let block = LookupBlock(records, hash: index.hash)
        if try !index.agrees(block, documents: isKeyed && hasAllClaims) { chunk.contradictsLookups = true }
    }

    /// The sum over the request keys the index holds.
    func requestSum() throws -> UInt64 { try index.requestSum(below: indexed) }

    /// What the index says of an entry that the entry doesn't; nil where they agree.
    ///
    /// - Parameters:
    ///   - index: where the entry stands.
    ///   - leaf: its leaf hash.
    func contradiction(
        _ entry: Entry,
        at index: UInt64,
        _ leaf: Digest,
        _ transaction: borrowing ReadTransaction,
        _ schema: StoreSchema,
        _ claims: inout SealedClaims?
    ) throws -> String? {
        var documents = DocumentDigests()
        if isKeyed {
            let erased = try? claims?.open(entry, transaction, schema) { _, name, _, value in
                documents.note(name.utf8.span, value)
            }
            // Of an entry whose claims cannot all be read, the index need not have any.
            if erased?.isEmpty != true { documents = DocumentDigests() }
        }
        let record = LookupRecord(
            index: index,
            leaf: leaf,
            type: entry.type,
            submitter: entry.submitter,
            request: RequestReference(entry, SHA256Hasher()),
            documents: documents
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

    /// How many of the entries the index holds repeat a request of an earlier one.
    var repeated: UInt64 { totals.state.repeated }

    /// What is wrong with the index as a whole: rows that are not as they were written, missing, or too many.
    func damages() throws -> [LookupDamage] { try index.damages() }
}
