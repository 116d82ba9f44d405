import LedgerFormat
import Merkle

/// What the entries of a block say, once everything was derived from them that needs no other entry.
struct AuditChunk {
    /// Entries of a whole chunk: those of a block of the look-up index.
    static let entries = LookupBlock.entries
    /// Level of the subtree a whole chunk is.
    static let level = UInt8(entries.trailingZeroBitCount)

    /// The link of a chunk to its neighbour.
    struct Link {
        var leaf: Digest
        /// Nil where no entry could be read.
        var time: LedgerTime?
    }

    let first: UInt64
    var findings: [AuditFinding] = []
    /// The tree of the chunk's leaves alone.
    var range = CompactRange()
    /// The hashes above the chunk that its last leaf's row holds.
    var rowAbove: [UInt8] = []
    /// What the first entry says of the one before it.
    var before: Link?
    /// The last entry.
    var last: Link?
    /// `ledger.created` and `system.recovered`, and where they stand.
    var establishing: [(index: UInt64, entry: Entry)] = []
    var memberships = 0
    /// Sum of the hashes of all memberships.
    var streamSum: UInt64 = 0
    /// Hashes of the submitters and requests of its entries (`AuditRequests`).
    var requests: [UInt64] = []
    /// Scopes that its entries say were erased, and those they have claims under.
    var erasures: [(index: UInt64, scope: StreamID)] = []
    var claimed: [(index: UInt64, scope: StreamID)] = []
    /// Whether claims of its entries are gone.
    var lacksClaims = false
    /// Sum of the hashes of all request keys the look-up index holds.
    var requestSum: UInt64 = 0
    var sealedRows = 0
    var openedClaims = 0
    var erasedClaims = 0
    var lostClaims = 0
    /// Whether the look-up index says something else of the block, and whether it does of the documents.
    var contradictsLookups = false
    var contradictsDocuments = false
    /// Whether it could not be compared as a block, because entries cannot be read.
    var lacksEntries = false

    init(first: UInt64) { self.first = first }

    mutating func found(_ index: UInt64?, _ what: String) {
        findings.append(AuditFinding(index: index, what: what))
    }
}

/// Hashes of rows whose sums are compared, so that two sets of any order are. They are keyed by the process, so nobody
/// can choose rows whose sums agree.
enum AuditSum {
    static func membership(_ stream: StreamID, number: UInt64, index: UInt64) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(stream.kind.code)
        hasher.combine(stream.id)
        hasher.combine(number)
        hasher.combine(index)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    static func request(_ reference: RequestReference, index: UInt64) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(reference)
        hasher.combine(index)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
