/// ProveInclusion calls for indexes at random over the whole ledger.
final class ProofMessages: MessageSource {
    private static let head = Array(#"{"method":"org.evidenced.Ledger.ProveInclusion","parameters":{"index":"#.utf8)
    private static let tail = Array("}}".utf8) + [0]
    private let buffer: UnsafeMutableRawBufferPointer
    private let size: UInt64
    private var counter: UInt64 = 0

    /// - Parameter size: entries of the ledger.
    init(size: Int, depth: Int) {
        self.size = UInt64(size)
        buffer = .allocate(byteCount: depth * (ProofMessages.head.count + ProofMessages.tail.count + 20), alignment: 8)
    }

    deinit { buffer.deallocate() }

    func next(_ count: Int) -> UnsafeRawBufferPointer {
        var end = 0
        for _ in 0..<count {
            counter += 1
            put(ProofMessages.head, &end)
            put(scatter(counter) % size, &end)
            put(ProofMessages.tail, &end)
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<end])
    }

    private func put(_ bytes: [UInt8], _ end: inout Int) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[end...]).copyBytes(from: bytes)
        end += bytes.count
    }

    private func put(_ number: UInt64, _ end: inout Int) {
        var digits = 1
        var bound: UInt64 = 10
        while number >= bound {
            digits += 1
            bound *= 10
        }
        var rest = number
        for position in stride(from: end + digits - 1, through: end, by: -1) {
            buffer[position] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        end += digits
    }
}
