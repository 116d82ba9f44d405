/// A member of an archive, as its directory states it.
public struct ZipMember: Equatable, Sendable {
    public let name: String
    /// Bytes of its content, which is stored as it is.
    public let size: UInt64
    /// Position in the archive, from 0.
    let position: UInt64

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
