/// How documents are kept; the limits a caller can meet have names here.
public struct VaultSettings: Sendable {
    /// Largest document in bytes.
    public var objectBytes = 16 << 30
    /// Bytes of the disk that documents leave free for others.
    public var reservedBytes = 256 << 20

    public init() {}
}
