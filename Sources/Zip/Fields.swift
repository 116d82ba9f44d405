/// Little-endian fields one after another. Whoever takes makes sure there are enough bytes left.
struct Fields {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var left: Int { bytes.count - position }
    var isAtEnd: Bool { left == 0 }

    mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func take16() -> UInt16 { take(2).reversed().reduce(0) { $0 << 8 | UInt16($1) } }

    mutating func take32() -> UInt32 { take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) } }
}
