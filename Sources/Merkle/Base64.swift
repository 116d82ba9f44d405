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
        text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: (bytes.count + 2) / 3 * 4))
        let alphabet = alphabet.utf8Start
        text.withUnsafeMutableBufferPointer { text in
            var written = start
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
            if position + 1 < bytes.count { text[written + 2] = alphabet[group >> 6 & 63] }
        }
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
        var bytes: [UInt8] = []
        bytes.reserveCapacity(characters.count / 4 * 3)
        var group: UInt32 = 0
        for (position, character) in characters.dropLast(padding).enumerated() {
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            group = group << 6 | UInt32(value)
            if position % 4 == 3 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                group = 0
            }
        }
        switch padding {
        case 1:
            guard group & 3 == 0 else { return nil }
            bytes.append(UInt8(truncatingIfNeeded: group >> 10))
            bytes.append(UInt8(truncatingIfNeeded: group >> 2))
        case 2:
            guard group & 15 == 0 else { return nil }
            bytes.append(UInt8(truncatingIfNeeded: group >> 4))
        default: break
        }
        return bytes
    }
}
