/// Writes numbers as lower-case hex digits in place, two at a time.
final class HexDigits {
    private let pairs: UnsafeMutablePointer<UInt16>

    init() {
        let digits = Array("0123456789abcdef".utf8)
        pairs = .allocate(capacity: 256)
        for byte in 0..<256 {
            let pair = UInt16(digits[byte >> 4]) | UInt16(digits[byte & 15]) << 8
            (pairs + byte).initialize(to: UInt16(littleEndian: pair))
        }
    }

    deinit { pairs.deallocate() }

    /// Writes the last `count` digits, an even number of them.
    @inline(__always)
    func write(_ value: UInt64, count: Int = 16, to buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        var rest = value
        var position = offset + count
        while position > offset {
            position -= 2
            buffer.storeBytes(of: pairs[Int(rest & 0xFF)], toByteOffset: position, as: UInt16.self)
            rest >>= 8
        }
    }
}
