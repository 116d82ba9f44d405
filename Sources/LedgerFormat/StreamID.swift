import JSON

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

extension StreamKind {
    /// The kind of this code.
    public init?(code: UInt8) {
        guard let kind = StreamKind.allCases.first(where: { $0.code == code }) else { return nil }
        self = kind
    }

    /// The kind of this name.
    init?(utf8 name: Span<UInt8>) {
        guard let kind = StreamKind.allCases.first(where: { $0.rawValue.utf8.isSame(as: name) }) else { return nil }
        self = kind
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
        let bytes = Array(text.utf8)
        self.init(utf8: bytes.span)
    }

    /// Parses `kind/32hex` given as UTF-8.
    public init?(utf8 text: Span<UInt8>) {
        let digits = 32
        guard text.count > digits + 1, text.count <= digits + 16 else { return nil }
        let slash = text.count - digits - 1
        guard text[slash] == UInt8(ascii: "/"), let kind = StreamKind(utf8: text.extracting(0..<slash)),
            let id = ID128(digits: text.extracting(last: digits))
        else { return nil }
        self.kind = kind
        self.id = id
    }

    public var description: String { "\(kind.rawValue)/\(id)" }

    /// Appends the text form.
    public func append(to text: inout [UInt8]) {
        text.append(contentsOf: kind.rawValue.utf8)
        text.append(UInt8(ascii: "/"))
        id.appendDigits(to: &text)
    }

    /// The order streams have in an entry: that of their text.
    public static func < (left: StreamID, right: StreamID) -> Bool {
        left.kind == right.kind ? left.id < right.id : left.kind.rawValue < right.kind.rawValue
    }
}
