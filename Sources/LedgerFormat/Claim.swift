public import JSON
public import Merkle

/// The commitment that stands in an entry for a value that may identify a person.
///
/// commitment = SHA-256("evidenced/claim/v1" LF base64(salt) LF name LF canonical JSON of the value)
///
/// No part can hold a line feed of its own (canonical JSON escapes it), so the text has one reading. The salt is 32
/// random bytes: without it the commitment says nothing about the value, and destroying it makes that permanent.
public enum ClaimCommitment {
    public static let tag = "evidenced/claim/v1"

    /// Appends the bytes whose SHA-256 is the commitment.
    ///
    /// - Parameters:
    ///   - salt: 32 bytes.
    ///   - value: canonical JSON.
    public static func append(
        salt: Span<UInt8>,
        name: Span<UInt8>,
        value: Span<UInt8>,
        to bytes: inout [UInt8]
    ) {
        bytes.append(contentsOf: tag.utf8)
        bytes.append(0x0A)
        salt.withUnsafeBytes { Base64.append($0, to: &bytes) }
        bytes.append(0x0A)
        name.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        bytes.append(0x0A)
        value.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }
}

/// A claim in clear, with what is needed to check it against its commitment.
public struct Opening: Equatable, Sendable {
    /// The stream whose erasure destroys the value.
    public let scope: StreamID
    public let name: String
    /// 32 bytes.
    public let salt: [UInt8]
    public let value: JSONValue

    public init(scope: StreamID, name: String, salt: [UInt8], value: JSONValue) {
        self.scope = scope
        self.name = name
        self.salt = salt
        self.value = value
    }

    /// The bytes whose SHA-256 is the commitment in the entry.
    public var preimage: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        let value = value.canonicalBytes
        ClaimCommitment.append(salt: salt.span, name: name.utf8.span, value: value.span, to: &bytes)
        return bytes
    }
}

/// A claim's place in an entry: name and commitment.
public struct CommittedClaim: Equatable, Sendable {
    public let name: String
    public let commitment: Digest

    public init(name: String, commitment: Digest) {
        self.name = name
        self.commitment = commitment
    }
}
