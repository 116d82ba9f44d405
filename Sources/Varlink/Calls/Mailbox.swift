import NIOCore
import Synchronization

/// A connection that takes answers on its event loop.
protocol CallOwner: AnyObject {
    func take(_ event: CallEvent, for call: UInt64)

    /// Called once after the last of a burst of events.
    func endBurst()

    /// Whether it took an event of the burst at hand.
    var isInBurst: Bool { get set }
}

/// Carries answers from any thread to the connections of one event loop, with one wake-up for a burst: a group
/// commit answers hundreds of calls at once.
final class Mailbox: @unchecked Sendable {
    // Sendable: owners are only handed on under the lock and only used on the loop.
    private struct Letter {
        let owner: any CallOwner
        let call: UInt64
        let event: CallEvent
    }

    private struct State {
        var letters: [Letter] = []
        /// Whether the loop was asked to deliver and has not begun to.
        var isWoken = false

        mutating func wake() -> Bool {
            guard !isWoken, !letters.isEmpty else { return false }
            isWoken = true
            return true
        }
    }

    private let loop: any EventLoop
    private let state = Mutex(State())

    init(loop: any EventLoop) {
        self.loop = loop
    }

    /// A function that posts to one call of one connection. With `.held` the loop is woken only by `deliverHeld`.
    func sender(to owner: any CallOwner, call: UInt64) -> @Sendable (CallEvent, Wake) -> Void {
        let address = OwnerReference(owner: owner)
        return { [self] event, wake in
            let mustWake = state.withLock { state in
                state.letters.append(Letter(owner: address.owner, call: call, event: event))
                return wake == .atOnce && state.wake()
            }
            if mustWake { loop.execute { self.deliver() } }
        }
    }

    /// The same for what the workers tell of its body.
    func bodySender(to owner: any CallOwner, call: UInt64) -> @Sendable (BodyEvent) -> Void {
        let post = sender(to: owner, call: call)
        return { post(.body($0), .atOnce) }
    }

    /// Wakes the loop for letters whose wake-up was held back.
    func deliverHeld() {
        if state.withLock({ $0.wake() }) { loop.execute { self.deliver() } }
    }

    /// Drops the letters that nobody will deliver any more.
    func discard() {
        let letters = state.withLock { state in
            defer { state.letters = [] }
            return state.letters
        }
        for letter in letters { letter.event.discard { $0() } }
    }

    private func deliver() {
        let burst = state.withLock { state in
            let burst = state.letters
            state.letters.removeAll(keepingCapacity: true)
            state.isWoken = false
            return burst
        }
        // What a burst brings to a connection goes out together: a system call for each answer costs more than making
        // them.
        var owners: [any CallOwner] = []
        for letter in burst {
            letter.owner.take(letter.event, for: letter.call)
            guard !letter.owner.isInBurst else { continue }
            letter.owner.isInBurst = true
            owners.append(letter.owner)
        }
        for owner in owners {
            owner.isInBurst = false
            owner.endBurst()
        }
    }
}

/// When the loop that takes a letter is woken.
enum Wake: Sendable {
    case atOnce
    /// By `Mailbox.deliverHeld`, once all letters of a burst are there.
    case held
}

private struct OwnerReference: @unchecked Sendable {
    // Sendable: carried between threads, dereferenced on the owner's loop only.
    let owner: any CallOwner
}
