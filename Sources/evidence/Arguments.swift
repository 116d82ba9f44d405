public import ArgumentParser
import JSON
public import Paths

/// The values of the command line: paths byte for byte, texts in UTF-8, numbers in their range.
enum Arguments {
    /// A value that is text: taken as it was given, and refused where it is not UTF-8.
    static func text(_ argument: String) throws -> String {
        let bytes = ArgumentText.decode(argument)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ValidationError("it is not UTF-8 text.")
        }
        return text
    }

    /// A value that is an index or a size: decimal digits, at most 2^53 − 1, the largest integer of JSON that every
    /// reader takes for the same.
    static func number(_ argument: String) throws -> UInt64 {
        guard !argument.isEmpty, argument.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt64(argument),
            number <= UInt64(JSONValue.maximumInteger)
        else { throw ValidationError("it must be a number from 0 to \(JSONValue.maximumInteger).") }
        return number
    }

    /// Names with commas between.
    static func names(_ text: String) -> [String] {
        text.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
    }
}

extension FilePath: ExpressibleByArgument {
    /// The path that was written on the command line, byte for byte.
    public init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(bytes: ArgumentText.decode(argument))
    }
}
