import Merkle

/// One way to the file key: a type, further arguments, and a body that for most types is the wrapped key.
public struct AgeStanza: Sendable, Equatable {
    /// Characters of a full line of the body; the last line has fewer.
    static let lineCharacters = 64
    /// Bytes that a full line of the body stands for.
    static let lineBytes = 48

    /// At least one, none of them empty, each of visible ASCII characters (0x21 to 0x7E). The first is the type.
    public let arguments: [String]
    /// Any bytes, or none.
    public let body: [UInt8]

    /// - Throws: `AgeHeaderError` with `.arguments` where they break the rule above.
    public init(arguments: [String], body: [UInt8]) throws(AgeHeaderError) {
        let areSound = arguments.allSatisfy { !$0.utf8.isEmpty && $0.utf8.allSatisfy(AgeStanza.isVisible) }
        guard areSound, !arguments.isEmpty else { throw AgeHeaderError(.arguments) }
        self.arguments = arguments
        self.body = body
    }

    /// Arguments as they stand in a header, behind `-> `; nil where they break the rule.
    init?(argumentLine line: UnsafeRawBufferPointer, body: [UInt8]) {
        var arguments: [String] = []
        for argument in line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false) {
            guard !argument.isEmpty, argument.allSatisfy(AgeStanza.isVisible) else { return nil }
            arguments.append(String(decoding: argument, as: UTF8.self))
        }
        self.arguments = arguments
        self.body = body
    }

    /// Whether the first argument is this one, byte for byte.
    public func isOf(type: StaticString) -> Bool {
        type.withUTF8Buffer { arguments[0].utf8.elementsEqual($0) }
    }

    /// Appends it as it stands in a header.
    func append(to text: inout [UInt8]) {
        text += "->".utf8
        for argument in arguments {
            text.append(UInt8(ascii: " "))
            text += argument.utf8
        }
        text.append(UInt8(ascii: "\n"))
        body.withUnsafeBytes { body in
            var start = 0
            // A body of whole lines ends with an empty one.
            repeat {
                let end = min(start + AgeStanza.lineBytes, body.count)
                Base64.appendUnpadded(UnsafeRawBufferPointer(rebasing: body[start..<end]), to: &text)
                text.append(UInt8(ascii: "\n"))
                start += AgeStanza.lineBytes
            } while start <= body.count
        }
    }

    private static func isVisible(_ byte: UInt8) -> Bool { 0x21...0x7E ~= byte }
}
