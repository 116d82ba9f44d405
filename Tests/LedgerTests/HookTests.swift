import LedgerFormat
import Merkle
import Synchronization
import Testing

@testable import Ledger

@Suite struct HookTests {
    /// Each call once went through one layer more than the one before: slower and slower, and in the end beyond the
    /// stack.
    @Test func callsDoNotGetDeeper() {
        let count = 200_000
        let hook = AnswerHook()
        let relay = CheckpointRelay()
        let counter = Counter()
        let checkpoint = SignedCheckpoint(
            checkpoint: Checkpoint(origin: "example.com/ledger", size: 1, root: .zero),
            note: "",
            time: LedgerTime(microseconds: 0)
        )
        hook.set { counter.count() }
        relay.attach { _ in counter.count() }
        for _ in 0..<count {
            hook.call()
            relay.publish(checkpoint)
        }
        #expect(counter.value == 2 * count)
    }

    private final class Counter: Sendable {
        private let calls = Atomic<Int>(0)
        var value: Int { calls.load(ordering: .relaxed) }
        func count() { calls.add(1, ordering: .relaxed) }
    }
}
