import Merkle
import Testing

@Suite("Base64, hex and digests")
struct EncodingTests {
    /// RFC 4648 section 10.
    private static let published = [
        ("", "", ""), ("f", "Zg==", "66"), ("fo", "Zm8=", "666f"), ("foo", "Zm9v", "666f6f"),
        ("foob", "Zm9vYg==", "666f6f62"), ("fooba", "Zm9vYmE=", "666f6f6261"), ("foobar", "Zm9vYmFy", "666f6f626172"),
    ]

    @Test("Are those of RFC 4648, hex in lower case")
    func publishedVectors() {
        for (text, base64, hex) in EncodingTests.published {
            let bytes = Array(text.utf8)
            #expect(Base64.encode(bytes) == base64 && Base64.decode(base64) == bytes)
            #expect(Hex.encode(bytes) == hex && Hex.decode(hex) == bytes)
        }
        var text = Array("head".utf8)
        [UInt8(0x66), 0x6F].withUnsafeBytes { Base64.append($0, to: &text) }
        #expect(text == Array("headZm8=".utf8))
        #expect(Base64.encode([0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF]) == "++++////")
    }

    @Test("Base64 without padding is the same without it, and has one spelling")
    func unpadded() {
        func decode(_ text: String, _ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            let isRead = Array(text.utf8).withUnsafeBytes { text in
                bytes.withUnsafeMutableBytes { Base64.decodeUnpadded(text, into: $0) }
            }
            return isRead ? bytes : nil
        }
        for (text, base64, _) in EncodingTests.published {
            let unpadded = base64.filter { $0 != "=" }
            var written = Array("head".utf8)
            Array(text.utf8).withUnsafeBytes { Base64.appendUnpadded($0, to: &written) }
            #expect(written == Array("head\(unpadded)".utf8))
            #expect(decode(unpadded, text.utf8.count) == Array(text.utf8))
            if base64 != unpadded { #expect(decode(base64, text.utf8.count) == nil) }
            #expect(decode(unpadded, text.utf8.count + 1) == nil)
        }
        for text in ["Zh", "Z=", "Z", "Zm", "Z\n"] { #expect(decode(text, 1) == nil, "\(text)") }
        for text in ["Zm9", "Zm8=", "Zm8\n", "Zm-", "Zm"] { #expect(decode(text, 2) == nil, "\(text)") }
    }

    @Test("Bytes of any value and number come back")
    func roundTrip() {
        var random = HashedNumbers()
        let all = Array(UInt8.min...UInt8.max)
        for count in 0...100 {
            for bytes in [
                Array(all.prefix(count)), Array(all.suffix(count)), [UInt8](repeating: 0xFF, count: count),
                (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) },
            ] {
                let base64 = Base64.encode(bytes)
                #expect(base64.utf8.count == (count + 2) / 3 * 4)
                #expect(Base64.decode(base64) == bytes)
                #expect(Base64.decode(" \(base64)!".dropFirst().dropLast()) == bytes)
                #expect(Hex.encode(bytes).utf8.count == count * 2)
                #expect(Hex.decode(Hex.encode(bytes)) == bytes)
            }
        }
    }

    @Test("Every group of base64 that is read is the one that is written")
    func groups() {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        var accepted = 0
        for first in alphabet {
            for second in alphabet {
                for text in ["\(first)\(second)==", "Z\(first)\(second)=", "AAAAZ\(first)\(second)="] {
                    guard let bytes = Base64.decode(text) else { continue }
                    #expect(Base64.encode(bytes) == text)
                    accepted += 1
                }
            }
        }
        // 256 single bytes; of the two bytes that begin with "Z", 4 times 256, twice.
        #expect(accepted == 256 + 2 * 1_024)
    }

    @Test(
        "Base64 spelt in any other way is refused",
        arguments: [
            "=", "==", "===", "====", "Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zg===", "Zm8==", "Zm9v=", "Zm9v==", "Zm9v====",
            "Zh==", "Zn==", "Zv==", "Zm9=", "Zm+=", "Zg==Zg==", "Zg==Zm9v", "Z=g=", "=Zg=", "Zg=Z", "Zm8=\n", "Zm9v\n",
            "\nZm9v", "Zm\n9v", "Zm9\n", " Zm9v", "Zm9v ", "Zm 9v", "Zm-_", "Zm9-", "Zm9_", "Zm9,", "Zm9\0", "Zmé=",
            "Ｚm9v", "Zm9v\r\n", "\u{FEFF}Zg=", "Zm9=\u{301}", "A===", "AB=C",
        ]
    )
    func otherBase64(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test(
        "Hex spelt in any other way is refused",
        arguments: [
            "6", "666", "6F", "6A", "F6", "0x66", "66 ", " 66", "6 6", "66\n", "6g", "g6", "é", "６６", "-1", "+1", "6:6",
            "\0\0", "6\u{301}", "66:6f",
        ]
    )
    func otherHex(text: String) {
        #expect(Hex.decode(text) == nil)
    }

    @Test("Digests are 32 bytes, in the order they stand")
    func digests() throws {
        let bytes = Array(UInt8(0)..<32)
        let digest = try #require(Digest(bytes))
        #expect(digest.bytes == bytes)
        #expect(digest.hex == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(digest.base64 == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        #expect(digest.description == digest.hex)
        #expect(Digest(hex: digest.hex) == digest && Digest(base64: digest.base64) == digest)
        #expect(Digest(writing: { $0.copyBytes(from: bytes) }) == digest)
        #expect(digest.withUnsafeBytes { Array($0) } == bytes)
        var appended: [UInt8] = [0xAA]
        digest.append(to: &appended)
        #expect(appended == [0xAA] + bytes)
        digest.appendBase64(to: &appended)
        #expect(appended == [0xAA] + bytes + Array(digest.base64.utf8))
        #expect(Digest(bytes[...]) == digest && Digest(Set<UInt8>()) == nil)
        #expect(Digest.zero.bytes == [UInt8](repeating: 0, count: 32))
        #expect(Digest(writing: { _ in }) == .zero)
    }

    @Test("Digests of another length or spelling are refused")
    func otherDigests() {
        for count in [0, 1, 31, 33, 64] {
            let bytes = [UInt8](repeating: 7, count: count)
            #expect(Digest(bytes) == nil && Digest(hex: Hex.encode(bytes)) == nil)
            #expect(Digest(base64: Base64.encode(bytes)) == nil)
        }
        let zeros = Digest.zero
        #expect(Digest(hex: "A" + zeros.hex.dropFirst()) == nil)
        #expect(Digest(base64: zeros.base64.dropLast()) == nil)
        #expect(Digest(base64: zeros.base64.dropLast(2) + "B=") == nil)
        #expect(Digest(base64: zeros.base64 + "\n") == nil)
    }

    @Test("Digests are equal where all their bits are")
    func equality() throws {
        var random = HashedNumbers()
        let digest = random.hash()
        var others: Set<Digest> = [digest]
        for bit in 0..<256 {
            let other = digest.flipped(bit)
            #expect(other != digest && other.flipped(bit) == digest)
            others.insert(other)
        }
        #expect(others.count == 257)
        #expect(try others.contains(#require(Digest(hex: digest.hex))))
    }
}
