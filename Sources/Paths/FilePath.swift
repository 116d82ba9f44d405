#if canImport(Glibc)
    import Glibc
#endif

/// A path as the system has it: bytes, of which only NUL and `/` mean something. It may be of any encoding or none, and
/// two paths are the same where their bytes are: nothing is normalised, and no mark merges with the slash before it.
public struct FilePath: Hashable, Sendable {
    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")

    /// The bytes, without a NUL at the end or within.
    public let bytes: [UInt8]

    /// The path of these bytes; nil where one of them is NUL, which no path can hold.
    public init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard !bytes.contains(0) else { return nil }
        self.bytes = bytes
    }

    /// The path that is spelt in UTF-8 like this text. What follows a NUL is left out, as the system's calls do.
    public init(_ text: some StringProtocol) { bytes = Array(text.utf8.prefix { $0 != 0 }) }

    /// The path as text; nil where its bytes aren't UTF-8.
    public var text: String? { String(validating: bytes, as: UTF8.self) }

    /// The last part, without slashes after it; the whole path where it has no other.
    public var name: [UInt8] {
        bytes.split(separator: FilePath.slash).last.map(Array.init) ?? bytes
    }

    /// The directory the last part lies in: `.` for a bare name, `/` for what lies there.
    public var parent: FilePath {
        var rest = bytes[...]
        while rest.count > 1, rest.last == FilePath.slash { rest.removeLast() }
        guard let slash = rest.lastIndex(of: FilePath.slash) else { return FilePath(".") }
        rest = rest[..<slash]
        while rest.last == FilePath.slash { rest.removeLast() }
        return FilePath(unchecked: rest.isEmpty ? [FilePath.slash] : Array(rest))
    }

    /// Whether it begins at the root.
    public var isAbsolute: Bool { bytes.first == FilePath.slash }

    /// Whether it can name a directory only.
    public var endsInSlash: Bool { bytes.last == FilePath.slash }

    /// The parts between slashes, without those that change nothing: empty ones and `.`.
    public var parts: [[UInt8]] {
        bytes.split(separator: FilePath.slash).map(Array.init).filter { $0 != [FilePath.dot] }
    }

    /// Whether it names something in a directory or further down, by its parts: links are not followed, and a path that
    /// goes up again is below nothing.
    public func isBelow(_ directory: FilePath) -> Bool {
        let (own, above) = (parts, directory.parts)
        return isAbsolute == directory.isAbsolute && own.count > above.count && own.starts(with: above)
            && !own.dropFirst(above.count).contains([FilePath.dot, FilePath.dot])
    }

    /// The path of something in this directory.
    public func appending(_ name: some Sequence<UInt8>) -> FilePath {
        let joined = bytes.isEmpty || endsInSlash ? bytes : bytes + [FilePath.slash]
        return FilePath(unchecked: joined + name.filter { $0 != 0 })
    }

    /// The path of something in this directory.
    public func appending(_ name: String) -> FilePath { appending(name.utf8) }

    /// The path with this text at its end.
    public func adding(suffix: String) -> FilePath { FilePath(unchecked: bytes + suffix.utf8.filter { $0 != 0 }) }

    /// Hands the path to one of the system's calls.
    public func withCString<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try (bytes + [0]).withUnsafeBytes { buffer in
            try buffer.withMemoryRebound(to: CChar.self) { try body($0.baseAddress!) }
        }
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}

extension FilePath: CustomStringConvertible {
    /// The path as people read it: a byte that is no part of UTF-8 text stands as `\xNN`.
    public var description: String { FilePath.describe(bytes) }

    /// Bytes as people read them, as in `description`.
    public static func describe(_ bytes: some Sequence<UInt8>) -> String {
        var described = ""
        for scalar in FilePath.pieces(of: bytes) {
            switch scalar {
            case .scalar(let scalar): described.unicodeScalars.append(scalar)
            case .stray(let byte): described += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return described
    }

    /// One step of reading bytes as UTF-8.
    public enum Piece: Equatable, Sendable {
        /// A well-formed scalar.
        case scalar(Unicode.Scalar)
        /// A byte that is part of none.
        case stray(UInt8)
    }

    /// The bytes read as UTF-8, each that can't be as it is, so that nothing is lost.
    public static func pieces(of bytes: some Sequence<UInt8>) -> [Piece] {
        let bytes = Array(bytes)
        var pieces: [Piece] = []
        var position = 0
        while position < bytes.count {
            let length = UTF8.width(bytes[position])
            let end = position + length
            if length > 0, end <= bytes.count,
                let scalar = String(validating: bytes[position..<end], as: UTF8.self)?.unicodeScalars.first
            {
                pieces.append(.scalar(scalar))
                position = end
            } else {
                pieces.append(.stray(bytes[position]))
                position += 1
            }
        }
        return pieces
    }
}

extension UTF8 {
    /// How many bytes the scalar has that begins with this one; 0 where none does.
    fileprivate static func width(_ first: UInt8) -> Int {
        switch first {
        case 0...0x7F: 1
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 0
        }
    }
}
