import Keys
import LMDB

/// Erasures that are recorded and can't be done yet.
struct WaitingErasures {
    /// Their entries.
    let entries: Set<UInt64>
    /// What whoever asks for them is answered until they are done.
    let refusal: LedgerError
}

extension LedgerWriter {
    /// Bytes of events whose commit takes as much room as that of what was erased.
    private static let executionBytes = 1 << 16

    /// Destroys the keys of what is recorded as erased. Called after the lock was moved over the records.
    ///
    /// Where there is no room for it, it is tried again; nothing is sealed under its scopes meanwhile, and nobody is told
    /// that it is done.
    ///
    /// - Returns: whether it is done.
    @discardableResult
    func executeErasures() throws -> Bool {
        do {
            try room.prepare(for: LedgerWriter.executionBytes)
            try erasures.execute()
        } catch let refusal as KeyRefusal where refusal.code == .noRoom {
            try wait(since: refusal.what)
            return false
        } catch let error as LMDBError where error.isMapFull {
            try wait(since: "the map has reached its limit")
            return false
        } catch LedgerError.storeFull(let reason) {
            try wait(since: reason)
            return false
        }
        try memory.claims.noteExecuted()
        waiting = nil
        return true
    }

    private func wait(since reason: String) throws {
        if waiting == nil { notice("what is recorded as erased waits for room, and is tried again: \(reason)") }
        let pending = try erasures.pending()
        for (entry, scopes) in pending { memory.claims.condemn(scopes, by: entry) }
        memory.claims.notePending()
        waiting = WaitingErasures(
            entries: Set(pending.map(\.entry)),
            refusal: .storeFull(
                reason: "the erasure is recorded, and its keys are destroyed once there is room: \(reason)"
            )
        )
    }

    /// What is answered to a call: that an erasure was recorded is no answer to whoever asked for it.
    func answerable(_ result: Result<[Receipt], LedgerError>) -> Result<[Receipt], LedgerError> {
        guard let waiting, case .success(let receipts) = result,
            receipts.contains(where: { waiting.entries.contains($0.index) })
        else { return result }
        return .failure(waiting.refusal)
    }
}
