/// An object in canonical text (RFC 8785), and where its members stand in it: all that is needed of values that are
/// checked, hashed and stored but never computed with.
public struct JSONObjectText: Sendable, Equatable {
    /// Where a member stands in the text.
    public struct Member: Sendable {
        /// The name as it is written, without its quotes.
        public let name: Range<Int>
        /// The value as it is written, with all that belongs to it.
        public let value: Range<Int>

        /// The same member in a text where it begins so much later.
        public func moved(by distance: Int) -> Member {
            Member(
                name: name.lowerBound + distance..<name.upperBound + distance,
                value: value.lowerBound + distance..<value.upperBound + distance
            )
        }
    }

    /// The canonical text.
    public let bytes: [UInt8]
    /// In the order of the text.
    public let members: [Member]

    /// `{}`.
    public static let empty = JSONObjectText(bytes: Array("{}".utf8), members: [])

    init(bytes: [UInt8], members: [Member]) {
        self.bytes = bytes
        self.members = members
    }

    /// Writes members, in any order.
    ///
    /// - Throws: `JSONError` where a name occurs twice, or values break the limits of the reader.
    public init(_ members: [JSONMember]) throws(JSONError) {
        var writer = JSONWriter()
        writer.object(members)
        var reader = JSONReader(writer.bytes)
        self = try reader.objectText()
    }

    /// Reads a whole document, which must be an object.
    public init(parsing bytes: [UInt8]) throws(JSONError) {
        var reader = JSONReader(bytes)
        self = try reader.objectText()
        try reader.finish()
    }

    /// Copies an object out of a text that holds several.
    ///
    /// - Parameters:
    ///   - range: where the object's text stands.
    ///   - members: in the order of the text, their places counted from the beginning of `text`.
    public init(copying text: [UInt8], _ range: Range<Int>, _ members: ArraySlice<Member>) {
        bytes = Array(text[range])
        self.members = members.map { $0.moved(by: -range.lowerBound) }
    }

    /// The member's name, its escapes resolved.
    public func name(of member: Member) -> String { JSONObjectText.name(of: member, in: bytes) }

    /// The name, its escapes resolved, of a member that stands in this text.
    public static func name(of member: Member, in text: [UInt8]) -> String {
        JSONReader.unescaped(text, member.name)
    }

    /// The member's value as a tree.
    public func value(of member: Member) -> JSONValue { parsed(member.value) ?? .null }

    /// The value of the member of this name, nil where there is none.
    public subscript(name: String) -> JSONValue? {
        members.first { self.name(of: $0).utf8.elementsEqual(name.utf8) }.map { value(of: $0) }
    }

    /// The members as trees.
    public var values: [JSONMember] {
        members.map { JSONMember(name: name(of: $0), value: value(of: $0)) }
    }

    public static func == (left: JSONObjectText, right: JSONObjectText) -> Bool { left.bytes == right.bytes }

    private func parsed(_ range: Range<Int>) -> JSONValue? { try? JSONReader.parse(Array(bytes[range])) }
}
