public import JSON
import LedgerFormat
import Merkle

/// A disclosed claim as a member of a bundle: the four lines whose SHA-256 is the commitment (`ledger-format.md`
/// sections 5 and 14), the last without a line feed.
public struct OpeningText: Equatable, Sendable {
    /// 32 bytes.
    public let salt: [UInt8]
    public let name: String
    public let value: JSONValue

    /// Reads the four lines: tag, salt, name, and the value in canonical form.
    ///
    /// - Throws: `BundleFormatError`.
    public init(_ bytes: [UInt8]) throws {
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count == 4 else { throw BundleFormatError("has not four lines", "不是四行") }
        guard lines[0].elementsEqual(ClaimCommitment.tag.utf8) else {
            throw BundleFormatError("does not begin with the tag \(ClaimCommitment.tag)", "首行不是规定的标记")
        }
        guard let salt = Base64.decode(String(decoding: lines[1], as: UTF8.self)),
            salt.count == FormatLimits.saltBytes
        else { throw BundleFormatError("has a salt that is not 32 bytes in base64", "盐值不是 32 字节的 base64") }
        guard let value = try? JSONReader.parse(Array(lines[3])), value.canonicalBytes.elementsEqual(lines[3]) else {
            throw BundleFormatError("has a value that is not canonical JSON", "值不是规范 JSON")
        }
        guard lines[3].count <= FormatLimits.claimValueBytes else {
            throw BundleFormatError("has a value longer than 8,192 bytes", "值超过 8192 字节")
        }
        guard let name = String(validating: lines[2], as: UTF8.self) else {
            throw BundleFormatError("has a name that is not UTF-8", "名称不是 UTF-8 文本")
        }
        self.salt = salt
        self.name = name
        self.value = value
    }
}

/// Why a member's text was refused, in the two languages of a bundle.
public struct BundleFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    public let words: Words

    init(_ english: String, _ chinese: String) { words = Words(english, chinese) }

    public var description: String { words.english }
}
