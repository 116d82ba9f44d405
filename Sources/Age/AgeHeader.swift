import Merkle
import OpenSSL

/// The text before the payload of an age v1 file (C2SP age.md): the stanzas that wrap its file key, and a MAC under it.
///
/// Every header has exactly one spelling: what is read is, byte for byte, what would be written for the same stanzas and
/// MAC.
public struct AgeHeader: Sendable, Equatable {
    /// Bytes of the longest header that is read or written.
    public static let maximumBytes = 1 << 16
    /// The most stanzas that are read or written.
    public static let maximumStanzas = 256
    static let version: StaticString = "age-encryption.org/v1\n"
    /// What the MAC's line has behind `---`, which is the last that the MAC is over: a space, 43 characters, a line feed.
    static let macBytes = 45

    /// At least one.
    public let stanzas: [AgeStanza]
    /// The header as it stands in the file; the payload begins right behind it.
    public let encoded: [UInt8]
    let mac: Digest

    /// Wraps nothing: the stanzas hold the file key already.
    ///
    /// - Throws: `AgeHeaderError` where there are no stanzas, too many, too long ones, or others beside a scrypt stanza.
    public init(_ stanzas: [AgeStanza], fileKey: AgeFileKey) throws {
        try AgeHeader.check(stanzas)
        var encoded = AgeHeader.unsealed(stanzas)
        guard encoded.count + AgeHeader.macBytes <= AgeHeader.maximumBytes else { throw AgeHeaderError(.tooLong) }
        mac = try fileKey.headerHash().hash(encoded)
        AgeHeader.append(mac, to: &encoded)
        self.stanzas = stanzas
        self.encoded = encoded
    }

    init(read stanzas: [AgeStanza], mac: Digest, encoded: [UInt8]) throws(AgeHeaderError) {
        try AgeHeader.check(stanzas)
        self.stanzas = stanzas
        self.mac = mac
        self.encoded = encoded
    }

    /// Reads the header at the beginning of `bytes`, whatever stands behind it. Whether anybody changed it shows `check`.
    ///
    /// - Parameter isEnd: whether these are all the bytes there are.
    /// - Returns: nil where more bytes are needed. That is never more than 64 KiB; whoever has so many need not ask twice.
    /// - Throws: `AgeHeaderError` at the first whole line that is none of a header.
    public static func read(_ bytes: UnsafeRawBufferPointer, isEnd: Bool = false) throws(AgeHeaderError) -> AgeHeader? {
        var parser = AgeHeaderParser(bytes)
        if let header = try parser.header() { return header }
        if bytes.count >= maximumBytes { throw AgeHeaderError(.tooLong) }
        if isEnd { throw AgeHeaderError(.cutOff) }
        return nil
    }

    /// Shows that this file key made the header, and nobody changed it since. Nothing that a header says may be believed
    /// before.
    ///
    /// - Throws: `AgeHeaderError` with `.unauthentic` where it did not.
    public func check(_ fileKey: AgeFileKey) throws {
        guard try fileKey.headerHash().isValid(code: mac, over: Array(encoded.dropLast(AgeHeader.macBytes))) else {
            throw AgeHeaderError(.unauthentic)
        }
    }

    /// All up to `---`, which the MAC is over.
    static func unsealed(_ stanzas: [AgeStanza]) -> [UInt8] {
        var text = version.withUTF8Buffer { Array($0) }
        for stanza in stanzas { stanza.append(to: &text) }
        text += "---".utf8
        return text
    }

    static func append(_ mac: Digest, to text: inout [UInt8]) {
        text.append(UInt8(ascii: " "))
        mac.withUnsafeBytes { Base64.appendUnpadded($0, to: &text) }
        text.append(UInt8(ascii: "\n"))
    }

    private static func check(_ stanzas: [AgeStanza]) throws(AgeHeaderError) {
        if stanzas.isEmpty { throw AgeHeaderError(.noStanza) }
        if stanzas.count > maximumStanzas { throw AgeHeaderError(.tooManyStanzas) }
        if stanzas.count > 1, let number = stanzas.firstIndex(where: { $0.isOf(type: "scrypt") }) {
            throw AgeHeaderError(.passphraseNotAlone, .stanza(number + 1))
        }
    }
}
