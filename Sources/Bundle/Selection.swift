public import LedgerFormat

/// One thing that was asked for when a bundle was made. Never the digest of a file.
public struct Selection: Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// All entries of a stream.
        case stream
        /// One entry.
        case index
        /// The entries that record a file; its value is empty.
        case file
        /// Entries from a time on.
        case since
        /// Entries before a time.
        case until
    }

    public let kind: Kind
    public let value: String

    public static func stream(_ stream: StreamID) -> Selection { Selection(kind: .stream, value: stream.description) }

    public static func index(_ index: UInt64) -> Selection { Selection(kind: .index, value: String(index)) }

    public static let file = Selection(kind: .file, value: "")

    public static func since(_ time: LedgerTime) -> Selection { Selection(kind: .since, value: time.description) }

    public static func until(_ time: LedgerTime) -> Selection { Selection(kind: .until, value: time.description) }

    private init(kind: Kind, value: String) {
        self.kind = kind
        self.value = value
    }

    /// The selection these words stand for; nil where they stand for none.
    init?(kind: String, value: String) {
        guard let kind = Kind(rawValue: kind) else { return nil }
        let isValid =
            switch kind {
            case .stream: StreamID(value) != nil
            case .index: Selection.isIndex(value)
            case .file: value.isEmpty
            case .since, .until: LedgerTime(value) != nil
            }
        guard isValid else { return nil }
        self.init(kind: kind, value: value)
    }

    /// Decimal without leading zeros, at most 2^53 − 1.
    private static func isIndex(_ text: String) -> Bool {
        guard let index = UInt64(text), index < 1 << 53 else { return false }
        return String(index).utf8.elementsEqual(text.utf8)
    }
}
