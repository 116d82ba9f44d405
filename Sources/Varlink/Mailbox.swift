import NIOCore
import Synchronization

/// A connection that takes answers on its event loop.
protocol CallOwner: AnyObject {
    func take(_ event: CallEvent, for call: UInt64)
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

    private let loop: any EventLoop
    private let letters = Mutex<[Letter]>([])

    init(loop: any EventLoop) {
        self.loop = loop
    }

    /// A function that posts to one call of one connection.
    func sender(to owner: any CallOwner, call: UInt64) -> @Sendable (CallEvent) -> Void {
        let address = OwnerReference(owner: owner)
        return { [self] event in
            let isFirst = letters.withLock { letters in
                letters.append(Letter(owner: address.owner, call: call, event: event))
                return letters.count == 1
            }
            if isFirst { loop.execute { self.deliver() } }
        }
    }

    private func deliver() {
        let burst = letters.withLock { letters in
            let burst = letters
            letters.removeAll(keepingCapacity: true)
            return burst
        }
        for letter in burst { letter.owner.take(letter.event, for: letter.call) }
    }
}

private struct OwnerReference: @unchecked Sendable {
    // Sendable: carried between threads, dereferenced on the owner's loop only.
    let owner: any CallOwner
}
