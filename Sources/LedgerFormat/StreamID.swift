/// What kind of story a stream tells. The list is closed; `code` is its byte in store keys.
public enum StreamKind: String, CaseIterable, Sendable {
    case subject, contract, object, request, session, policy, purpose, cert, issuance, disclosure, vendor, staff
    case incident, ledger

    /// The byte that stands for the kind in store keys; never reused, never renumbered.
    public var code: UInt8 {
        switch self {
        case .subject: 1
        case .contract: 2
        case .object: 3
        case .request: 4
        case .session: 5
        case .policy: 6
        case .purpose: 7
        case .cert: 8
        case .issuance: 9
        case .disclosure: 10
        case .vendor: 11
        case .staff: 12
        case .incident: 13
        case .ledger: 14
        }
    }
}

/// One numbered story an event can belong to: a person's, a contract's, a document's. Text form: `kind/id`.
public struct StreamID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let kind: StreamKind
    public let id: ID128

    public init(kind: StreamKind, id: ID128) {
        self.kind = kind
        self.id = id
    }

    /// Parses `kind/32hex`.
    public init?(_ text: some StringProtocol) {
        guard let slash = text.firstIndex(of: "/"), let kind = StreamKind(rawValue: String(text[..<slash])),
            let id = ID128(text[text.index(after: slash)...])
        else { return nil }
        self.kind = kind
        self.id = id
    }

    public var description: String { "\(kind.rawValue)/\(id)" }

    /// The order streams have in an entry: that of their text.
    public static func < (left: StreamID, right: StreamID) -> Bool {
        left.kind == right.kind ? left.id < right.id : left.kind.rawValue < right.kind.rawValue
    }
}
