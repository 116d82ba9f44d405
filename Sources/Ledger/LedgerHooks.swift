import Synchronization

// A function that lies bare in a Mutex is wrapped in one more layer of translation by every access, and the layers are
// never taken off again. Inside a structure it lies as it is.

/// What is called once a batch is answered; set after the writer is made.
final class AnswerHook: Sendable {
    private struct State {
        var deliver: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    func set(_ deliver: @escaping @Sendable () -> Void) { state.withLock { $0.deliver = deliver } }

    func call() {
        let deliver = state.withLock { $0.deliver }
        deliver?()
    }
}

/// Keeps the newest checkpoint until the ledger that wants it exists.
final class CheckpointRelay: Sendable {
    private struct State {
        var newest: SignedCheckpoint?
        var target: (@Sendable (SignedCheckpoint) -> Void)?
    }

    private let state = Mutex(State())

    var newest: SignedCheckpoint? { state.withLock { $0.newest } }

    func attach(_ target: @escaping @Sendable (SignedCheckpoint) -> Void) {
        state.withLock { $0.target = target }
    }

    func publish(_ checkpoint: SignedCheckpoint) {
        let target = state.withLock { state in
            state.newest = checkpoint
            return state.target
        }
        target?(checkpoint)
    }
}
