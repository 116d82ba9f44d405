/// A member of an archive, as its directory states it.
public struct ZipMember: Equatable, Sendable {
    /// Its name's bytes, in whatever encoding.
    public let bytes: [UInt8]
    /// Bytes of its content.
    public let size: UInt64
    let place: Place

    /// Its name as text; what is not UTF-8 in it is U+FFFD, so that two may look the same.
    public var name: String { String(decoding: bytes, as: UTF8.self) }

    /// Where the content stands in the archive, and how.
    struct Place: Equatable, Sendable {
        /// Offsets of the stored bytes.
        let stored: Range<UInt64>
        /// Whether they are deflated (RFC 1951); else they are the content.
        let isDeflated: Bool
        let crc: UInt32
    }

    /// Whether a text may be a member's name (`ledger-format.md` section 14): 1 to 100 of `A`–`Z`, `a`–`z`, `0`–`9`,
    /// `.`, `_`, `-` and `/`, no part between slashes empty, `.` or `..`.
    public static func isName(_ name: some Collection<UInt8>) -> Bool {
        guard 1...100 ~= name.count else { return false }
        let dot = UInt8(ascii: ".")
        return name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && !part.elementsEqual([dot]) && !part.elementsEqual([dot, dot])
                && part.allSatisfy(isNameByte)
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
