/// The names that files and folders may have where a bundle's members lie (`ledger-format.md` section 14): those of an
/// archive, those below a folder, and those of what is passed over.
public enum ZipName {
    /// How many parts one may have between slashes.
    private static let maximumParts = 16
    /// How many bytes.
    private static let maximumBytes = 1_024

    /// Whether a name is a path below a folder that every reader takes for the same: short, without control characters and
    /// backslashes, and with no part that is empty, `.` or `..`.
    public static func isPath(_ name: [UInt8]) -> Bool {
        guard name.count <= maximumBytes,
            name.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") })
        else { return false }
        let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.count <= maximumParts
            && parts.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
    }

    /// A name nothing has checked, with nothing in it that could be a part of the sentence it is shown in.
    public static func shown(_ name: some Sequence<UInt8>) -> String {
        let bytes = name.prefix(100).map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "/"):
                byte
            default: UInt8(ascii: "?")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
