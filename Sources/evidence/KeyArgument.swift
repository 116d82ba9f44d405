import Bundle
import Paths

/// A key that is given on the command line: itself, or a file that holds it.
enum KeyArgument {
    /// Reads the key.
    ///
    /// - Parameter argument: a key, the path of a file with one, or `-` for standard input.
    /// - Throws: `Failure`, `.usage` for what is no verification key, so that a file of another kind is never told as
    ///   another key.
    static func read(_ argument: FilePath) throws -> GivenKey {
        if !LocalFile.exists(argument), let key = try? GivenKey(argument.bytes) { return key }
        // A mistyped key is no missing file.
        let isKey = argument.bytes.count { $0 == UInt8(ascii: "+") } >= 2 && !LocalFile.exists(argument)
        let text = isKey ? argument.bytes : try LocalFile.read(argument)
        do {
            return try GivenKey(text)
        } catch {
            throw Failure(.usage, "\(isKey ? "--key" : argument.description): this is not a verification key: \(error)")
        }
    }
}
