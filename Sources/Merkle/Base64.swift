/// Base64 of RFC 4648 section 4: the standard alphabet, with padding.
public enum Base64 {
    /// What each character stands for; 0xFF for one outside the alphabet. A table, for hashes are random: a branch on
    /// their characters is mispredicted every other time.
    static let values = alphabet.withUTF8Buffer { alphabet in
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }

    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { append($0, to: &text) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the base64 of `bytes`.
    public static func append(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        let start = text.count
        text.append(contentsOf: repeatElement(0, count: (bytes.count + 2) / 3 * 4))
        text.withUnsafeMutableBytes { encode(bytes, into: UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Appends the base64 of `bytes` without padding.
    public static func appendUnpadded(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        append(bytes, to: &text)
        // Two bytes beyond whole groups leave one character of padding, one byte two.
        text.removeLast((3 - bytes.count % 3) % 3)
    }

    /// Writes the base64 of `bytes` into a buffer of its length: four characters for each three bytes begun.
    public static func encode(_ bytes: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        precondition(text.count == (bytes.count + 2) / 3 * 4)
        let alphabet = alphabet.utf8Start
        var written = 0
        var position = 0
        while position + 3 <= bytes.count {
            let group = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
            text[written] = alphabet[group >> 18]
            text[written + 1] = alphabet[group >> 12 & 63]
            text[written + 2] = alphabet[group >> 6 & 63]
            text[written + 3] = alphabet[group & 63]
            position += 3
            written += 4
        }
        guard position < bytes.count else { return }
        let second = position + 1 < bytes.count ? Int(bytes[position + 1]) : 0
        let group = Int(bytes[position]) << 16 | second << 8
        text[written] = alphabet[group >> 18]
        text[written + 1] = alphabet[group >> 12 & 63]
        text[written + 2] = position + 1 < bytes.count ? alphabet[group >> 6 & 63] : UInt8(ascii: "=")
        text[written + 3] = UInt8(ascii: "=")
    }

    /// Decodes into a buffer of exactly the length of what the text stands for; false where it stands for nothing of that
    /// length. No byte is copied elsewhere.
    public static func decode(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let characters = (bytes.count * 4 + 2) / 3
        guard text.count == (bytes.count + 2) / 3 * 4,
            text[characters...].allSatisfy({ $0 == UInt8(ascii: "=") })
        else { return false }
        return decodeUnpadded(UnsafeRawBufferPointer(rebasing: text[..<characters]), into: bytes)
    }

    /// The same of a text without padding.
    public static func decodeUnpadded(
        _ text: UnsafeRawBufferPointer,
        into bytes: UnsafeMutableRawBufferPointer
    ) -> Bool {
        let characters = (bytes.count * 4 + 2) / 3
        guard text.count == characters else { return false }
        var group: UInt32 = 0
        var bits = 0
        var written = 0
        for position in 0..<characters {
            let value = values[Int(text[position])]
            guard value < 64 else { return false }
            group = group << 6 | UInt32(value)
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes[written] = UInt8(truncatingIfNeeded: group >> bits)
            written += 1
        }
        // Bits beyond the last byte are zero.
        return group & (1 << bits - 1) == 0
    }

    /// The bytes, or nil where the text is not exactly what `encode` gives: no line breaks, full padding, and no bits
    /// beyond the last byte.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count % 4 == 0 else { return nil }
        var padding = 0
        while padding < 2, padding < characters.count, characters[characters.count - 1 - padding] == UInt8(ascii: "=") {
            padding += 1
        }
        var bytes = [UInt8](repeating: 0, count: characters.count / 4 * 3 - padding)
        let isRead = characters.withUnsafeBytes { characters in
            bytes.withUnsafeMutableBytes { decode(characters, into: $0) }
        }
        return isRead ? bytes : nil
    }
}
