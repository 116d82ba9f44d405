import Merkle
import OpenSSL
import Testing

@Suite("ChaCha20-Poly1305")
struct ChaCha20Poly1305Tests {
    struct Vector {
        let key: String
        let nonce: String
        let context: String
        let plaintext: String
        let ciphertext: String
        let tag: String
    }

    /// RFC 8439, section 2.8.2 and appendix A.5.
    static let vectors = [
        Vector(
            key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            nonce: "070000004041424344454647",
            context: "50515253c0c1c2c3c4c5c6c7",
            plaintext: "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                + "sunscreen would be it.",
            ciphertext: "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                + "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                + "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                + "3ff4def08e4b7a9de576d26586cec64b6116",
            tag: "1ae10b594f09e26a7e902ecbd0600691"
        ),
        Vector(
            key: "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
            nonce: "000000000102030405060708",
            context: "f33388860000000000004e91",
            plaintext: "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
                + "replaced, or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts "
                + "as reference material or to cite them other than as /\u{201C}work in progress./\u{201D}",
            ciphertext: "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
                + "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
                + "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
                + "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
                + "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
                + "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
                + "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
                + "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
                + "a6ad5cb4022b02709b",
            tag: "eead9d67890cbb22392336fea1851f38"
        ),
    ]

    private static func nonce(_ bytes: [UInt8]) -> ChaCha20Poly1305.Nonce {
        var nonce = ChaCha20Poly1305.Nonce(repeating: 0)
        for (position, byte) in bytes.enumerated() { nonce[position] = byte }
        return nonce
    }

    @Test("seals and opens as RFC 8439 says", arguments: vectors)
    func specification(vector: Vector) throws {
        let cipher = try ChaCha20Poly1305(key: SecretBytes(copying: #require(Hex.decode(vector.key))))
        let nonce = try Self.nonce(#require(Hex.decode(vector.nonce)))
        let context = try #require(Hex.decode(vector.context))
        // What is there already stays, in both directions by turns.
        var (sealed, opened): ([UInt8], [UInt8]) = ([1], [2])
        for _ in 0..<2 {
            sealed = [1]
            try Array(vector.plaintext.utf8).withUnsafeBytes {
                try cipher.seal($0, nonce: nonce, context: context.span, to: &sealed)
            }
            #expect(Hex.encode(sealed) == "01" + vector.ciphertext + vector.tag)
            opened = [2]
            let isOpened = try sealed.dropFirst().withUnsafeBytes {
                try cipher.open($0, nonce: nonce, context: context.span, to: &opened)
            }
            #expect(isOpened && opened == [2] + Array(vector.plaintext.utf8))
        }
    }

    @Test("opens what it sealed, with and without a context", arguments: [0, 1, 15, 16, 63, 64, 65, 65_536])
    func roundTrip(count: Int) throws {
        let cipher = try ChaCha20Poly1305(key: .random(32))
        let plaintext = try SecureRandom.bytes(count)
        for context in [[], Array("context".utf8)] {
            var (sealed, opened): ([UInt8], [UInt8]) = ([], [])
            try plaintext.withUnsafeBytes {
                try cipher.seal($0, nonce: Self.nonce([1]), context: context.span, to: &sealed)
            }
            #expect(sealed.count == count + ChaCha20Poly1305.tagBytes)
            let isOpened = try sealed.withUnsafeBytes {
                try cipher.open($0, nonce: Self.nonce([1]), context: context.span, to: &opened)
            }
            #expect(isOpened && opened == plaintext)
        }
    }

    @Test("refuses what was changed in any bit, cut, of another nonce, context or key, and leaves nothing of it")
    func refusals() throws {
        let cipher = try ChaCha20Poly1305(key: .random(32))
        let (nonce, context) = (Self.nonce([1, 2, 3]), Array("context".utf8))
        var sealed: [UInt8] = []
        try Array("a plaintext".utf8).withUnsafeBytes {
            try cipher.seal($0, nonce: nonce, context: context.span, to: &sealed)
        }
        func isRefused(
            _ sealed: [UInt8],
            _ cipher: ChaCha20Poly1305,
            _ nonce: ChaCha20Poly1305.Nonce,
            _ context: [UInt8]
        ) throws -> Bool {
            var appended: [UInt8] = [7]
            var room = [UInt8](repeating: 9, count: max(0, sealed.count - ChaCha20Poly1305.tagBytes))
            let isOpened = try sealed.withUnsafeBytes { sealed in
                let isAppended = try cipher.open(sealed, nonce: nonce, context: context.span, to: &appended)
                let isWritten = try room.withUnsafeMutableBytes {
                    try cipher.open(sealed, nonce: nonce, context: context.span, into: $0)
                }
                return isAppended || isWritten
            }
            return !isOpened && appended == [7] && room.allSatisfy { $0 == 0 }
        }
        for bit in 0..<(sealed.count * 8) {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try isRefused(changed, cipher, nonce, context), "bit \(bit)")
        }
        for count in 0..<sealed.count { #expect(try isRefused(Array(sealed.prefix(count)), cipher, nonce, context)) }
        #expect(try isRefused(sealed + [0], cipher, nonce, context))
        #expect(try isRefused(sealed, cipher, Self.nonce([1, 2, 4]), context))
        #expect(try isRefused(sealed, cipher, nonce, []))
        #expect(try isRefused(sealed, cipher, nonce, context + [0]))
        #expect(try isRefused(sealed, ChaCha20Poly1305(key: .random(32)), nonce, context))
    }

    @Test("refuses keys of another length", arguments: [0, 16, 31, 33])
    func lengths(count: Int) {
        #expect(throws: OpenSSLError.self) { try ChaCha20Poly1305(key: .random(count)) }
    }
}
