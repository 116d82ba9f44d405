#if canImport(Glibc)
    import Glibc
#endif

/// The command line as texts that lose none of its bytes. Argument parsers take texts, and Swift's texts hold UTF-8
/// only: what a caller wrote in another encoding would be gone before anybody saw it.
///
/// A byte B that is no part of a text stands as the scalar U+10FE00 + B, in the last private plane. Such a scalar in the
/// command line itself is written byte by byte as well, so that none is taken for another.
public enum ArgumentText {
    private static let escaped: ClosedRange<UInt32> = 0x10FE00...0x10FEFF

    /// The process's arguments, without its name.
    public static var all: [String] {
        (0..<Int(CommandLine.argc)).dropFirst().map { position in
            guard let argument = CommandLine.unsafeArgv[position] else { return "" }
            return encode(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
        }
    }

    /// The text of an argument.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        var isAfterEquals = false
        for piece in FilePath.pieces(of: bytes) {
            switch piece {
            case .stray(let byte): text.append(contentsOf: escape([byte]))
            // A mark would merge with the = before it, and the parser would not see where the value begins.
            case .scalar(let scalar) where escaped.contains(scalar.value) || isAfterEquals && !scalar.isASCII:
                text.append(contentsOf: escape(UTF8.encode(scalar).map { Array($0) } ?? []))
            case .scalar(let scalar): text.append(scalar)
            }
            isAfterEquals = piece == .scalar("=")
        }
        return String(text)
    }

    private static func escape(_ bytes: [UInt8]) -> [Unicode.Scalar] {
        bytes.compactMap { Unicode.Scalar(escaped.lowerBound + UInt32($0)) }
    }

    /// The bytes of the argument, or of a part of it, that became this text.
    public static func decode(_ text: String) -> [UInt8] {
        text.unicodeScalars.flatMap { scalar in
            escaped.contains(scalar.value)
                ? [UInt8(scalar.value - escaped.lowerBound)] : UTF8.encode(scalar).map { Array($0) } ?? []
        }
    }
}
