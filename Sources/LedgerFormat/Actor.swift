import JSON

/// Who acted, as an opaque reference: the ledger's own system, or a person, organisation, member of staff or vendor
/// under a stream id.
public enum Actor: Hashable, Sendable, CustomStringConvertible {
    case system
    /// The stream's kind is `subject`, `staff` or `vendor`.
    case party(StreamID)

    /// Parses `system`, `subject/ID`, `staff/ID` or `vendor/ID`.
    public init?(_ text: String) {
        self.init(utf8: text.utf8.span)
    }

    /// Parses the text form given as UTF-8.
    public init?(utf8 text: Span<UInt8>) {
        if "system".utf8.isSame(as: text) {
            self = .system
        } else if let stream = StreamID(utf8: text), [.subject, .staff, .vendor].contains(stream.kind) {
            self = .party(stream)
        } else {
            return nil
        }
    }

    /// Appends the text form.
    public func append(to text: inout [UInt8]) {
        switch self {
        case .system: text.append(contentsOf: "system".utf8)
        case .party(let stream): stream.append(to: &text)
        }
    }

    public var description: String {
        switch self {
        case .system: "system"
        case .party(let stream): stream.description
        }
    }
}
