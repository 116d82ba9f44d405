extension String.UTF8View {
    /// Whether these are the same bytes. `String` would call texts equal that differ only in normalisation.
    @inlinable
    public func isSame(as bytes: Span<UInt8>) -> Bool {
        let own = span
        guard own.count == bytes.count else { return false }
        for position in own.indices where own[position] != bytes[position] { return false }
        return true
    }
}
