/// The extra fields of a header (APPNOTE.TXT 4.5), as an ordinary archive of a bundle may have them: times and owners.
/// Others give a member another name, size, kind or key for those readers that know them.
enum ExtraFields {
    /// NTFS times; Unix times, old and new; Unix owners, old and new; Unicode comment; the mark of a Java archive.
    private static let harmless: Set<UInt16> = [0x000A, 0x5455, 0x5855, 0x7855, 0x7875, 0x6375, 0xCAFE]
    /// Info-ZIP's Unicode path: a version, a CRC-32 and the name that is to be used instead of the header's.
    private static let name: UInt16 = 0x7075

    /// Whether all fields are whole and none says something of the member that its header does not.
    ///
    /// - Parameter name: the member's name as it stands in the header.
    static func areHarmless(_ bytes: [UInt8], of name: [UInt8]) -> Bool {
        var fields = Fields(bytes)
        while !fields.isAtEnd {
            guard fields.left >= 4 else { return false }
            let (kind, count) = (fields.take16(), Int(fields.take16()))
            guard fields.left >= count else { return false }
            let data = fields.take(count)
            guard harmless.contains(kind) || kind == ExtraFields.name && data.dropFirst(5).elementsEqual(name) else {
                return false
            }
        }
        return true
    }
}
