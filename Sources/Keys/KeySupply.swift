import DequeModule
public import OpenSSL
import Synchronization

/// Slots of a tree made ahead, with their keys in memory, so that who needs one waits for no disk.
///
/// A slot it hands out is durable. Whether it was used the tree doesn't know: who uses one records that durably, and says
/// at the next start which was the last.
public final class KeySupply: Sendable {
    /// A slot and its key.
    public struct Slot: Sendable {
        public let number: UInt64
        public let key: CipherKey
    }

    private let tree: KeyTree
    private let ready: Mutex<Deque<Slot>>
    /// Held while slots are made.
    private let making = Mutex<Void>(())
    /// Nodes made at once.
    private let nodes: Int

    /// Slots that may be left unused when a process ends.
    public static let maximumReady = 3 * 2_048

    /// - Parameters:
    ///   - first: the first slot that was never handed out; of those after it that were made the keys are read.
    ///   - nodes: of 64 slots each, made at once.
    public init(_ tree: KeyTree, from first: UInt64, nodes: Int = 32) throws {
        self.tree = tree
        self.nodes = nodes
        let end = tree.slots
        // More than it ever keeps were not left by it.
        let first = max(first, end - min(end, UInt64(KeySupply.maximumReady)))
        var slots = Deque<Slot>()
        if first < end {
            for number in first..<end {
                guard case .living(let key) = try tree.key(of: number) else { continue }
                slots.append(Slot(number: number, key: key))
            }
        }
        ready = Mutex(slots)
    }

    /// Whether more slots should be made.
    public var isLow: Bool { ready.withLock { $0.count } < nodes * Int(NodePlace.children) / 2 }

    /// Makes slots, durably, where there are few.
    ///
    /// - Throws: as `KeyTree.makeSlots` does.
    public func refill() throws {
        try making.withLock { _ in
            guard isLow else { return }
            let made = try tree.makeSlots(nodes: nodes)
            ready.withLock { ready in
                for (offset, key) in made.keys.enumerated() {
                    ready.append(Slot(number: made.first + UInt64(offset), key: key))
                }
            }
        }
    }

    /// A slot nobody else gets; where none is ready, some are made first.
    ///
    /// - Throws: as `KeyTree.makeSlots` does.
    public func take() throws -> Slot {
        while true {
            if let slot = ready.withLock({ $0.popFirst() }) { return slot }
            try refill()
        }
    }

    /// Takes back slots that were not used after all.
    public func giveBack(_ slots: some Collection<Slot>) {
        ready.withLock { $0.prepend(contentsOf: slots) }
    }
}
