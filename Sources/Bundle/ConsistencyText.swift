public import Merkle

/// That the tree of an older checkpoint is the beginning of that of the bundle's: a fixed line, the hashes of the path,
/// an empty line, and the older signed note (`ledger-format.md` section 14).
public struct ConsistencyText: Equatable, Sendable {
    public static let header = "evidenced consistency proof v1"
    private static let maximumHashes = 63

    /// In the order of section 4.
    public let path: [Digest]
    /// The older signed note, verbatim.
    public let note: String

    public init(path: [Digest], note: String) {
        self.path = path
        self.note = note
    }

    /// Reads the text; the note in it is taken as it is.
    ///
    /// - Throws: `BundleFormatError`.
    public init(_ bytes: [UInt8]) throws {
        guard String(validating: bytes, as: UTF8.self) != nil, let end = bytes.firstRange(ofBytes: [0x0A, 0x0A]) else {
            throw BundleFormatError("has no empty line before the note", "账本签名快照之前没有空行")
        }
        let lines = bytes[..<end.lowerBound].split(separator: 0x0A, omittingEmptySubsequences: false)
        guard let first = lines.first, first.elementsEqual(ConsistencyText.header.utf8) else {
            throw BundleFormatError("does not begin with its fixed line", "首行不是规定的文字")
        }
        guard lines.count <= 1 + ConsistencyText.maximumHashes else {
            throw BundleFormatError("has more than 63 hashes", "哈希值多于 63 个")
        }
        var path: [Digest] = []
        for line in lines.dropFirst() {
            guard let digest = Digest(base64: line.span) else {
                throw BundleFormatError("has a line that is no hash", "有一行不是哈希值")
            }
            path.append(digest)
        }
        self.path = path
        note = String(decoding: bytes[end.upperBound...], as: UTF8.self)
    }

    public var encoded: String {
        ConsistencyText.header + "\n" + path.map { $0.base64 + "\n" }.joined() + "\n" + note
    }
}
