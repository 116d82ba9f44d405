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
