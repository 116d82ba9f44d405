import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// Compares the look-up index with the entries it was made from, as far as it has followed the log.
final class LookupAudit: Sendable {
    /// What the entries say the index must have.
    struct Sums {
        var requests: UInt64 = 0
        var typeRows = 0
        var submitterRows = 0
        /// Whether entries could not be read, so that what they made is not in the sums.
        var lackEntries = false

        mutating func add(_ chunk: AuditChunk) {
            lackEntries = lackEntries || chunk.lacksEntries
            requests &+= chunk.requestSum
            typeRows += chunk.typeRows
            submitterRows += chunk.submitterRows
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
        indexed = totals.indexed
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
        chunk.typeRows = block.types.count
        chunk.submitterRows = block.submitters.count
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
        return try self.index.contradiction(
            LookupRecord(
                index: index,
                leaf: leaf,
                type: entry.type,
                submitter: entry.submitter,
                request: RequestReference(entry, SHA256Hasher()),
                documents: documents
            )
        )
    }

    /// What is wrong with the index as a whole.
    func conclude(_ sums: Sums) -> [String] {
        let blocks = Int(indexed / LookupBlock.entries)
        let derived =
            [Int(clamping: indexed), blocks, blocks] + (sums.lackEntries ? [] : [sums.typeRows, sums.submitterRows])
        return zip(totals.rows, derived).filter { $0.count != $1 }.map { row, derived in
            "the look-up index has \(row.count) \(row.name) rows where \(indexed) entries need \(derived)"
        }
    }
}
