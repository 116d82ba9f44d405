/// Why a JSON text was refused, and where.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The closed list of reasons.
    public enum Code: String, Sendable {
        case unexpectedEnd = "the text ends too early"
        case unexpectedByte = "a byte that cannot stand here"
        case trailingBytes = "bytes after the value"
        case duplicateName = "a member name occurs twice"
        case tooDeep = "nested too deeply"
        case notAnInteger = "a number that is not an integer"
        case integerOutOfRange = "an integer beyond ±(2^53 − 1)"
        case invalidUTF8 = "a string that is not valid UTF-8"
        case invalidEscape = "an invalid escape sequence"
        case loneSurrogate = "an escaped surrogate without its partner"
        case controlCharacter = "an unescaped control character"
        case tooLong = "an object longer than its place has room for"
        case wrongType = "a value of another type than declared"
    }

    public let code: Code
    /// Byte offset into the text read.
    public let offset: Int

    public init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    public var description: String { "\(code.rawValue), at byte \(offset)" }
}
