import Keys

extension LedgerWriter {
    /// Destroys the keys of what entries of a batch erase.
    ///
    /// - Returns: the results, but for a refusal in the place of those whose keys wait for room.
    func afterErasures(
        _ results: [Result<[Receipt], LedgerError>],
        of entries: [UInt64]
    ) throws -> [Result<[Receipt], LedgerError>] {
        guard let refusal = try executeErasures() else { return results }
        return results.map { result in
            guard case .success(let receipts) = result, receipts.contains(where: { entries.contains($0.index) }) else {
                return result
            }
            return .failure(refusal)
        }
    }

    /// Destroys the keys of what is recorded as erased. Called after the lock was moved over the records.
    ///
    /// - Returns: why it could not be done yet, which is tried again.
    func executeErasures() throws -> LedgerError? {
        do {
            try erasures.execute()
            memory.claims.noteExecuted()
            isErasingDue = false
            return nil
        } catch let refusal as KeyRefusal where refusal.code == .noRoom {
            if !isErasingDue {
                notice("what is recorded as erased waits for room, and is tried again: \(refusal.what)")
            }
            memory.claims.notePending()
            isErasingDue = true
            return .storeFull(
                reason: "the erasure is recorded, and its keys are destroyed once there is room: \(refusal.what)"
            )
        }
    }
}
