public import Merkle

/// An Ed25519 verification key of the C2SP signed-note form `NAME+KEYID+BASE64(0x01 ‖ public key)`.
public struct VerificationKey: Equatable, Sendable {
    private static let ed25519: UInt8 = 0x01

    /// The points of small order in every spelling of their y coordinate below 2^255, without the sign bit: under such a
    /// key one signature holds over many texts. Those of a coordinate of p and more are told by `isCanonical`.
    private static let smallOrder: [[UInt8]] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ].map { Hex.decode($0) ?? [] }

    public let name: String
    /// First 4 bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key).
    public let keyID: UInt32
    /// 32 bytes.
    public let publicKey: [UInt8]

    public init(name: String, publicKey: [UInt8], sha256: ([UInt8]) -> Digest) throws(NoteError) {
        guard SignedNote.isKeyName(name) else {
            throw NoteError(.malformedKey, "the name is empty or holds white space or a plus sign")
        }
        guard publicKey.count == 32 else { throw NoteError(.malformedKey, "the public key has not 32 bytes") }
        guard VerificationKey.isSound(publicKey) else {
            throw NoteError(.malformedKey, "the public key is of small order or spelt otherwise than RFC 8032 has it")
        }
        self.name = name
        self.publicKey = publicKey
        let digest = sha256(Array(name.utf8) + [0x0A, VerificationKey.ed25519] + publicKey)
        keyID = digest.bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Parses the text and checks that the key ID is the key's.
    public init(parsing text: some StringProtocol, sha256: ([UInt8]) -> Digest) throws(NoteError) {
        // By bytes: to a String, a plus sign and a mark behind it are one character.
        let parts = text.utf8.split(separator: UInt8(ascii: "+"), maxSplits: 2, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 3, let key = Base64.decode(parts[2]) else {
            throw NoteError(.malformedKey, "it is not NAME+KEYID+BASE64")
        }
        guard key.first == VerificationKey.ed25519 else {
            throw NoteError(.malformedKey, "its type is not 1, Ed25519")
        }
        try self.init(name: parts[0], publicKey: Array(key.dropFirst()), sha256: sha256)
        guard Hex.decode(parts[1]).map({ $0.reduce(0) { $0 << 8 | UInt32($1) } }) == keyID, parts[1].utf8.count == 8
        else { throw NoteError(.malformedKey, "its key ID does not belong to the key") }
    }

    public static func == (left: VerificationKey, right: VerificationKey) -> Bool {
        left.keyID == right.keyID && left.publicKey == right.publicKey && left.name.utf8.elementsEqual(right.name.utf8)
    }

    /// Whether a public key's y coordinate is below p = 2^255 − 19, and its point not of small order (`ledger-format.md`
    /// section 7).
    private static func isSound(_ publicKey: [UInt8]) -> Bool {
        var coordinate = publicKey
        coordinate[31] &= 0x7F
        let isCanonical = coordinate[0] < 0xED || coordinate[31] != 0x7F || coordinate[1..<31].contains { $0 != 0xFF }
        return isCanonical && !smallOrder.contains(coordinate)
    }

    /// The text form, `NAME+KEYID+BASE64`.
    public var text: String {
        let identifier = withUnsafeBytes(of: keyID.bigEndian) { Hex.encode([UInt8]($0)) }
        return "\(name)+\(identifier)+\(Base64.encode([VerificationKey.ed25519] + publicKey))"
    }
}
