import Synchronization

/// What happened since the start, counted for status and metrics.
public final class LedgerCounters: Sendable {
    private let appendedCount = Atomic<Int>(0)
    private let duplicateCount = Atomic<Int>(0)
    private let refusedCount = Atomic<Int>(0)
    private let conflictCount = Atomic<Int>(0)
    private let throttledCount = Atomic<Int>(0)
    private let isFull = Atomic<Bool>(false)

    /// Events recorded.
    public var appended: Int { appendedCount.load(ordering: .relaxed) }
    /// Events answered with an earlier receipt.
    public var duplicates: Int { duplicateCount.load(ordering: .relaxed) }
    /// Calls refused.
    public var refused: Int { refusedCount.load(ordering: .relaxed) }

    /// Calls that used a request key for other content than before.
    public var conflicts: Int { conflictCount.load(ordering: .relaxed) }
    /// Calls whose request keys were used for other content too often to be looked at.
    public var throttled: Int { throttledCount.load(ordering: .relaxed) }

    /// Whether the store had room when it was last written to.
    var hasRoom: Bool { !isFull.load(ordering: .relaxed) }

    func noteRoom(_ hasRoom: Bool) { isFull.store(!hasRoom, ordering: .relaxed) }

    func count(_ result: Result<[Receipt], LedgerError>) {
        switch result {
        case .success(let receipts):
            let duplicates = receipts.count { $0.duplicate }
            duplicateCount.add(duplicates, ordering: .relaxed)
            appendedCount.add(receipts.count - duplicates, ordering: .relaxed)
        case .failure(let refusal):
            switch refusal {
            case .requestConflict: conflictCount.add(1, ordering: .relaxed)
            case .throttled: throttledCount.add(1, ordering: .relaxed)
            default: break
            }
            countRefusal()
        }
    }

    public func countRefusal() { refusedCount.add(1, ordering: .relaxed) }
}
