/// The FNV-1a hash of 64 bits. Any change of one byte gives another value.
public struct FNV1a: Sendable {
    @usableFromInline var state: UInt64 = 0xCBF2_9CE4_8422_2325

    /// The hash of no bytes.
    public init() {}

    /// The hash of the bytes added so far.
    public var value: UInt64 { state }

    /// Adds a byte.
    @inlinable public mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }

    /// Adds bytes one after the other.
    @inlinable public mutating func add(_ bytes: UnsafeRawBufferPointer) { for byte in bytes { add(byte) } }

    /// Adds the eight bytes of a number, little-endian.
    mutating func add(_ number: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
    }
}
