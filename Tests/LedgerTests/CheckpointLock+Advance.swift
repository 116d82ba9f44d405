@testable import Ledger

extension CheckpointLock {
    /// Puts the next record in place.
    func advance(vkey: String, note: String) throws {
        let next = LockRecord(sequence: record.sequence + 1, incarnation: 1, vkey: vkey, places: places, note: note)
        try compareAndSwap(Slot(next))
    }
}
