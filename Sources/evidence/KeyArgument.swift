import Bundle
import Paths

/// A key that is given on the command line: itself, or a file that holds it.
enum KeyArgument {
    /// Reads the key.
    ///
    /// What is a key as it stands is that key, and no file is looked for: else whoever can put a file into the current
    /// folder, named as the genuine key is, could say which key counts. For the same reason a mistyped key is no file.
    ///
    /// - Parameter argument: a key, the path of a file with one (`./name` where the name looks like a key), or `-` for
    ///   standard input.
    /// - Throws: `Failure`, `.usage` for what is no verification key, so that a file of another kind is never told as
    ///   another key.
    static func read(_ argument: FilePath) throws -> GivenKey {
        let typed = argument.bytes
        if let key = try? GivenKey(typed) { return key }
        let isTyped = isLikeKey(typed)
        let text = isTyped ? typed : try LocalFile.read(argument)
        do {
            return try GivenKey(text)
        } catch {
            let name = isTyped ? "--key" : argument.description
            throw Failure(.usage, "\(name): this is not a verification key: \(error)")
        }
    }

    /// Whether somebody meant to type a key and no path: blanks; parts joined by two `+`; or so many hex digits as only
    /// a fingerprint has.
    private static func isLikeKey(_ text: [UInt8]) -> Bool {
        let blanks = Set(" \t\r\n".utf8)
        guard let first = text.first(where: { !blanks.contains($0) }) else { return true }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "/") else { return false }
        if text.count(where: { $0 == UInt8(ascii: "+") }) >= 2 { return true }
        let digits = Set("0123456789abcdefABCDEF".utf8)
        let isHex = text.allSatisfy { digits.contains($0) || blanks.contains($0) || $0 == UInt8(ascii: ":") }
        return isHex && text.count(where: digits.contains) >= 48
    }
}
