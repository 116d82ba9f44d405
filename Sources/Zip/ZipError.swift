/// Why an archive was refused or could not be written: the rule of `ledger-format.md` section 14 it breaks, and the
/// member where it shows.
public struct ZipError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The rules of a bundle's archive, and what else can go wrong with a file.
    public enum Rule: String, Sendable, CaseIterable {
        case notAnArchive = "is not a ZIP archive"
        case trailingBytes = "has a comment or other bytes after its end record"
        case severalParts = "is one part of several"
        case endRecord = "has an end record that does not fit what stands before it"
        case damaged = "is not consistent"
        case tooLarge = "is beyond the limits of a plain ZIP archive: 65,534 members, 4 GiB"
        case name = "has a name that is not allowed"
        case backslash =
            "has a backslash in its name, as names in Chinese encodings may: unpack it, and verify the folder"
        case duplicate = "occurs twice"
        case order = "does not stand in byte order of the names"
        case compressed = "is compressed"
        case method = "is compressed by another method than deflate"
        case link = "is a link, or no file"
        case encrypted = "is encrypted"
        case flags = "has flags that are not allowed"
        case comment = "has a comment"
        case extraFields = "has extra fields"
        case secondMeaning = "has an extra field that some programs take its name, size or kind from"
        case time = "has another time than 1980-01-01 00:00:00"
        case mode = "has another mode than 0644"
        case size = "claims more bytes than the archive has, or other bytes than stand there"
        case place = "does not stand right after the member before it"
        case overlap = "overlaps what stands behind it"
        case secondDirectory = "has a second directory, or what some programs take for one"
        case localHeader = "has a local header that says something else than the directory"
        case checksum = "has another CRC-32 than stored"
        case memberTooLarge = "is larger than what is taken of its kind"
        case noSuchMember = "is not in the archive"
        /// Trouble of the computer: nothing follows from it for what the archive holds.
        case system = "could not be read or written"
    }

    public let rule: Rule
    /// The member's name as far as it is one, else its position such as `#3`; nil where it is the archive itself.
    public let member: String?
    /// What a library or the system said, where they said something.
    public let detail: String?

    public init(_ rule: Rule, member: String? = nil, detail: String? = nil) {
        self.rule = rule
        self.member = member
        self.detail = detail
    }

    public var description: String {
        "\(member ?? "the archive") \(rule.rawValue)" + (detail.map { " (\($0))" } ?? "")
    }
}
