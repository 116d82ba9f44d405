/// Who acted, as an opaque reference: the ledger's own system, or a person, organisation, member of staff or vendor
/// under a stream id.
public enum Actor: Hashable, Sendable, CustomStringConvertible {
    case system
    /// The stream's kind is `subject`, `staff` or `vendor`.
    case party(StreamID)

    /// Parses `system`, `subject/ID`, `staff/ID` or `vendor/ID`.
    public init?(_ text: String) {
        if text == "system" {
            self = .system
        } else if let stream = StreamID(text), [.subject, .staff, .vendor].contains(stream.kind) {
            self = .party(stream)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .system: "system"
        case .party(let stream): stream.description
        }
    }
}
