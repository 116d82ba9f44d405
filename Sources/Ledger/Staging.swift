import LedgerFormat
import Merkle

/// What one call adds to the ledger, made but not yet written. Its room is kept from call to call.
struct Staging {
    /// An entry, its tree row, and what its receipt says.
    struct Event {
        /// Position in the call.
        let position: Int
        let reference: RequestReference
        let index: UInt64
        let time: LedgerTime
        let leaf: Digest
        /// Where the entry stands in `bytes`.
        let entry: Range<Int>
        /// Where the tree row stands: the hashes of every subtree the leaf completes.
        let row: Range<Int>

        func receipt(duplicate: Bool) -> Receipt {
            Receipt(index: index, leaf: leaf, time: time, duplicate: duplicate)
        }
    }

    /// An entry's number in a stream.
    struct Membership {
        let stream: StreamID
        let number: UInt64
        let index: UInt64
    }

    /// An entry's claims under one scope.
    struct Sealed {
        let index: UInt64
        let ordinal: Int
        /// Where the sealed message stands in `bytes`.
        let bytes: Range<Int>
    }

    /// An entry that was made.
    func entry(_ event: Event) throws -> Entry { try Entry(Array(bytes[event.entry])) }

    /// The entry made last; nil where there is none.
    func lastEntry() throws -> Entry? { try events.last.map { try entry($0) } }

    var bytes: [UInt8] = []
    var events: [Event] = []
    var memberships: [Membership] = []
    var sealed: [Sealed] = []
    /// Of the event at hand: its numbers in its streams.
    var numbers: [UInt64] = []
    /// Scopes the call gave their data key.
    var freshScopes: [StreamID] = []
    /// Scopes the call erases.
    var condemned: [StreamID] = []

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        memberships.removeAll(keepingCapacity: true)
        sealed.removeAll(keepingCapacity: true)
        freshScopes.removeAll(keepingCapacity: true)
        condemned.removeAll(keepingCapacity: true)
    }
}
