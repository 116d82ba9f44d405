import DequeModule

/// The calls of one connection that were handed out, in their order: an answer is kept until those before it are out.
struct AnswerQueue {
    private struct Slot {
        let id: UInt64
        let isOneway: Bool
        /// Of its message.
        let bytes: Int
        var answer: [UInt8]?
    }

    private var slots: Deque<Slot> = []
    private var lastID: UInt64 = 0
    /// Bytes of the messages that are not answered yet.
    private(set) var bytes = 0

    var isEmpty: Bool { slots.isEmpty }
    var count: Int { slots.count }

    /// Makes a place for a call's answer.
    mutating func open(isOneway: Bool, bytes: Int) -> UInt64 {
        lastID += 1
        slots.append(Slot(id: lastID, isOneway: isOneway, bytes: bytes))
        self.bytes += bytes
        return lastID
    }

    mutating func fill(_ id: UInt64, _ answer: [UInt8]) {
        guard let first = slots.first, id >= first.id, id - first.id < slots.count else { return }
        slots[Int(id - first.id)].answer = answer
    }

    /// Takes the answer whose turn it is, empty where nobody waits for it; nil where it isn't there yet.
    mutating func next() -> [UInt8]? {
        guard let slot = slots.first, let answer = slot.answer else { return nil }
        slots.removeFirst()
        bytes -= slot.bytes
        return slot.isOneway ? [] : answer
    }
}
