/// Bech32 (BIP 173) of keys of 32 bytes, in which age writes recipients and identities. Nothing of the key is copied
/// elsewhere.
struct Bech32 {
    private static let alphabet: StaticString = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    private static let checksumCharacters = 6
    /// 32 bytes in fives of bits.
    private static let keyCharacters = 52
    static let keyBytes = 32

    /// Recipients.
    static let recipient = Bech32(prefix: "age", isUpperCase: false)
    /// Identities, which everybody writes in capitals, as a warning.
    static let identity = Bech32(prefix: "age-secret-key-", isUpperCase: true)

    /// In lower case, as the checksum is over it.
    let prefix: StaticString
    let isUpperCase: Bool

    /// Characters of a text.
    var count: Int { prefix.utf8CodeUnitCount + 1 + Bech32.keyCharacters + Bech32.checksumCharacters }

    /// Writes the text of a key into a buffer of its length.
    func encode(_ key: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        precondition(key.count == Bech32.keyBytes && text.count == count)
        let alphabet = Bech32.alphabet.utf8Start
        var written = 0
        func write(_ character: UInt8) {
            text[written] = isUpperCase ? Bech32.upperCase(character) : character
            written += 1
        }
        prefix.withUTF8Buffer { $0.forEach { write($0) } }
        write(UInt8(ascii: "1"))
        var checksum = Checksum(prefix)
        for position in 0..<Bech32.keyCharacters {
            let bit = position * 5
            let high = UInt16(key[bit / 8]) << 8
            let low = bit / 8 + 1 < key.count ? UInt16(key[bit / 8 + 1]) : 0
            let value = UInt8(truncatingIfNeeded: (high | low) >> UInt16(11 - bit % 8)) & 31
            checksum.add(value)
            write(alphabet[Int(value)])
        }
        for _ in 0..<Bech32.checksumCharacters { checksum.add(0) }
        let sum = checksum.state ^ 1
        for position in 0..<Bech32.checksumCharacters { write(alphabet[Int(sum >> UInt32(25 - 5 * position) & 31)]) }
    }

    /// Writes the key that a text stands for into a buffer of 32 bytes.
    func decode(_ text: UnsafeRawBufferPointer, into key: UnsafeMutableRawBufferPointer) throws(AgeKeyError) {
        precondition(key.count == Bech32.keyBytes)
        let start = prefix.utf8CodeUnitCount + 1
        let isPrefixed = prefix.withUTF8Buffer { prefix in
            text.count >= start && text[start - 1] == UInt8(ascii: "1")
                && zip(text, prefix).allSatisfy { $0 == (isUpperCase ? Bech32.upperCase($1) : $1) }
        }
        guard isPrefixed else { throw .prefix }
        guard text.count == count else { throw .length }
        var checksum = Checksum(prefix)
        var (group, bits, written): (UInt32, UInt32, Int) = (0, 0, 0)
        for position in start..<count {
            guard let value = value(of: text[position]) else { throw .character }
            checksum.add(value)
            guard position < start + Bech32.keyCharacters else { continue }
            group = group << 5 | UInt32(value)
            bits += 5
            guard bits >= 8 else { continue }
            bits -= 8
            key[written] = UInt8(truncatingIfNeeded: group >> bits)
            written += 1
        }
        guard checksum.state == 1 else { throw .checksum }
        guard group & (1 << bits - 1) == 0 else { throw .padding }
    }

    private func value(of character: UInt8) -> UInt8? {
        Bech32.alphabet.withUTF8Buffer { alphabet in
            alphabet.firstIndex { (isUpperCase ? Bech32.upperCase($0) : $0) == character }.map { UInt8($0) }
        }
    }

    private static func upperCase(_ character: UInt8) -> UInt8 {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= character ? character - 0x20 : character
    }

    /// The BCH code of BIP 173.
    private struct Checksum {
        private static let generator: [UInt32] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3]
        private(set) var state: UInt32 = 1

        init(_ prefix: StaticString) {
            prefix.withUTF8Buffer { prefix in
                for character in prefix { add(character >> 5) }
                add(0)
                for character in prefix { add(character & 31) }
            }
        }

        mutating func add(_ value: UInt8) {
            let top = state >> 25
            state = (state & 0x1FF_FFFF) << 5 ^ UInt32(value)
            for (bit, term) in Checksum.generator.enumerated() where top >> UInt32(bit) & 1 == 1 { state ^= term }
        }
    }
}
