extension Span<UInt8> {
    /// Whether these are the same bytes.
    @inlinable
    public func isSame(as other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for position in indices where self[position] != other[position] { return false }
        return true
    }
}

extension String.UTF8View {
    /// Whether these are the same bytes. `String` would call texts equal that differ only in normalisation.
    @inlinable
    public func isSame(as bytes: Span<UInt8>) -> Bool { span.isSame(as: bytes) }
}

extension Sequence<UInt8> {
    /// The bytes with small letters for the capitals of ASCII, all others as they are: what a name that has no case is
    /// compared by. `String.lowercased()` would make a k of U+212A.
    @inlinable
    public var asciiLowercased: [UInt8] { map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 } }
}
