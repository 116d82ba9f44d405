/// Why bytes or a text are no key.
public enum AgeKeyError: String, Error, Sendable, CustomStringConvertible {
    /// A file key of another length.
    case fileKey = "a file key has 16 bytes"
    /// Of another type, or in the other case.
    case prefix = "it doesn't begin with age1, or AGE-SECRET-KEY-1 where it is an identity, in this case"
    case length = "it is of another length than that of an X25519 key"
    /// Outside the alphabet of Bech32 (BIP 173), or in the other case.
    case character = "a character behind its first 1 is none of Bech32, or in the other case"
    /// Mistyped, most likely.
    case checksum = "the checksum at its end is another"
    /// Another text for the same key.
    case padding = "bits beyond the last byte of the key are not zero"
    /// One that no identity has: what is encrypted to it nobody could open.
    case notCanonical = "the coordinate is not below 2^255 - 19"
    /// One with which every private key has the same secret in common.
    case lowOrder = "the point is of low order"

    /// One sentence; nothing of the key.
    public var description: String { "age key: \(rawValue)" }
}
