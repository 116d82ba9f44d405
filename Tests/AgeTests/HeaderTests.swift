import Merkle
import OpenSSL
import Testing

@testable import Age

@Suite("The header of an age file")
struct HeaderTests {
    private static let version = "age-encryption.org/v1\n"
    private static let mac = "--- " + String(repeating: "A", count: 43) + "\n"

    private static func read(_ text: String, isEnd: Bool = true) throws -> AgeHeader? {
        try Array(text.utf8).withUnsafeBytes { try AgeHeader.read($0, isEnd: isEnd) }
    }

    @Test("is read up to its end, whatever follows")
    func reading() throws {
        let line = String(repeating: "/", count: 64)
        let text = version + "-> a b ~!\nZm9v\n-> c\n\n-> d\n\(line)\n\n-> e\n\(line)\n\(line)\nZg\n" + Self.mac
        for rest in ["", "\n", "--- ", "-> a\n", "\0\u{FF}"] {
            let header = try #require(try Self.read(text + rest))
            #expect(header.encoded == Array(text.utf8))
            let ones = [UInt8](repeating: 0xFF, count: 48)
            #expect(header.stanzas.map(\.arguments) == [["a", "b", "~!"], ["c"], ["d"], ["e"]])
            #expect(header.stanzas.map(\.body) == [Array("foo".utf8), [], ones, ones + ones + Array("f".utf8)])
        }
        #expect(try #require(try Self.read(text)).stanzas[0].isOf(type: "a"))
        #expect(try !#require(try Self.read(text)).stanzas[0].isOf(type: "A"))
    }

    private var version: String { Self.version }

    @Test("needs more as long as it is not whole, and is cut off where there is no more")
    func prefixes() throws {
        let text = version + "-> X25519 abc\n" + String(repeating: "/", count: 64) + "\nZm9v\n-> b\n\n" + Self.mac
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            let prefix = String(decoding: bytes[..<count], as: UTF8.self)
            #expect(try Self.read(prefix, isEnd: false) == nil, "\(count) bytes")
            #expect(throws: AgeHeaderError(.cutOff), "\(count) bytes") { try Self.read(prefix) }
        }
    }

    private static let line = String(repeating: "A", count: 64)
    private static let refusals: [(String, AgeHeaderError)] = {
        let (v, m) = (version, mac)
        func stanza(_ text: String) -> String { v + text + m }
        return [
            ("\n", .init(.version, .line(1))),
            ("age-encryption.org/v2\n", .init(.version, .line(1))),
            ("age-encryption.org/v1\r\n", .init(.version, .line(1))),
            ("Age-encryption.org/v1\n", .init(.version, .line(1))),
            ("age-encryption.org/v1 \n", .init(.version, .line(1))),
            ("-----BEGIN AGE ENCRYPTED FILE-----\n", .init(.version, .line(1))),
            (v + m, .init(.noStanza)),
            (v + "\n" + m, .init(.lineStart, .line(2))),
            (v + "->\n\n" + m, .init(.lineStart, .line(2))),
            (v + "->a\n\n" + m, .init(.lineStart, .line(2))),
            (v + " -> a\n\n" + m, .init(.lineStart, .line(2))),
            (stanza("-> \n\n"), .init(.arguments, .line(2))),
            (stanza("->  a\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a \n\n"), .init(.arguments, .line(2))),
            (stanza("-> a  b\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a\tb\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a\r\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a\u{7F}\n\n"), .init(.arguments, .line(2))),
            (stanza("-> \u{E9}\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a\0\n\n"), .init(.arguments, .line(2))),
            (stanza("-> a\n"), .init(.body, .line(3))),
            (stanza("-> a\n\(line)\n"), .init(.body, .line(4))),
            (stanza("-> a\n\(line)A\n\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm9v\nZm9v\n"), .init(.lineStart, .line(4))),
            (stanza("-> a\nZg==\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm8=\n"), .init(.body, .line(3))),
            (stanza("-> a\nZh\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm9\n"), .init(.body, .line(3))),
            (stanza("-> a\nZ\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm9vZ\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm9v\r\n"), .init(.body, .line(3))),
            (stanza("-> a\n Zm9v\n"), .init(.body, .line(3))),
            (stanza("-> a\nZm-_\n"), .init(.body, .line(3))),
            (stanza("-> a\n\r\n"), .init(.body, .line(3))),
            (v + "-> a\n\n---\n", .init(.macLine, .line(4))),
            (v + "-> a\n\n--- \n", .init(.macLine, .line(4))),
            (v + "-> a\n\n---" + m.dropFirst(4), .init(.macLine, .line(4))),
            (v + "-> a\n\n----" + m.dropFirst(4), .init(.macLine, .line(4))),
            (v + "-> a\n\n--- " + m.dropFirst(3), .init(.macLine, .line(4))),
            (v + "-> a\n\n" + m.dropLast() + " \n", .init(.macLine, .line(4))),
            (v + "-> a\n\n" + m.dropLast() + "=\n", .init(.macLine, .line(4))),
            (v + "-> a\n\n" + m.dropLast() + "\r\n", .init(.macLine, .line(4))),
            (v + "-> a\n\n" + m.dropLast(2) + "\n", .init(.macLine, .line(4))),
            // 43 characters have two bits more than 32 bytes.
            (v + "-> a\n\n" + m.dropLast(2) + "B\n", .init(.macLine, .line(4))),
            (stanza("-> a\n\n-> scrypt a 1\n\n"), .init(.passphraseNotAlone, .stanza(2))),
            (stanza("-> scrypt a 1\n\n-> scrypt b 1\n\n"), .init(.passphraseNotAlone, .stanza(1))),
        ]
    }()

    @Test("is refused with the rule and the place", arguments: refusals.indices)
    func refusal(index: Int) throws {
        let (text, error) = HeaderTests.refusals[index]
        for isEnd in [false, true] {
            #expect(throws: error, "\(text.debugDescription)") { try Self.read(text, isEnd: isEnd) }
        }
        #expect(!error.description.isEmpty)
    }

    @Test("has at most 256 stanzas")
    func stanzas() throws {
        let stanza = "-> a\n\n"
        #expect(try Self.read(version + String(repeating: stanza, count: 256) + Self.mac)?.stanzas.count == 256)
        #expect(throws: AgeHeaderError(.tooManyStanzas, .line(514))) {
            try Self.read(version + String(repeating: stanza, count: 257) + Self.mac)
        }
        let one = try AgeStanza(arguments: ["a"], body: [])
        let fileKey = try AgeFileKey.random()
        #expect(try AgeHeader(Array(repeating: one, count: 256), fileKey: fileKey).stanzas.count == 256)
        #expect(throws: AgeHeaderError(.tooManyStanzas)) {
            try AgeHeader(Array(repeating: one, count: 257), fileKey: fileKey)
        }
        #expect(throws: AgeHeaderError(.noStanza)) { try AgeHeader([], fileKey: fileKey) }
    }

    @Test("has at most 64 KiB")
    func length() throws {
        func text(_ count: Int) -> String {
            let start = version + "-> "
            let end = "\n\n" + Self.mac
            return start + String(repeating: "a", count: count - start.utf8.count - end.utf8.count) + end
        }
        #expect(try Self.read(text(65_536))?.encoded.count == 65_536)
        #expect(try Self.read(text(65_536) + "payload", isEnd: false)?.encoded.count == 65_536)
        #expect(throws: AgeHeaderError(.tooLong)) { try Self.read(text(65_537)) }
        // No longer one is waited for.
        #expect(throws: AgeHeaderError(.tooLong)) { try Self.read(String(text(70_000).prefix(65_536)), isEnd: false) }
        #expect(try Self.read(String(text(70_000).prefix(65_535)), isEnd: false) == nil)
        let fileKey = try AgeFileKey.random()
        let room = 65_536 - (version + "-> \n\n" + Self.mac).utf8.count
        let most = try AgeStanza(arguments: [String(repeating: "a", count: room)], body: [])
        #expect(try AgeHeader([most], fileKey: fileKey).encoded.count == 65_536)
        let more = try AgeStanza(arguments: [String(repeating: "a", count: room + 1)], body: [])
        #expect(throws: AgeHeaderError(.tooLong)) { try AgeHeader([more], fileKey: fileKey) }
    }

    @Test("comes back as it was written, with bodies of any length")
    func roundTrip() throws {
        let fileKey = try AgeFileKey.random()
        for count in 0...200 {
            let stanzas = try [
                AgeStanza(arguments: ["example.org/of-our-own", "an", "argument"], body: SecureRandom.bytes(count)),
                AgeStanza(arguments: ["other"], body: SecureRandom.bytes(200 - count)),
            ]
            let header = try AgeHeader(stanzas, fileKey: fileKey)
            let again = try header.encoded.withUnsafeBytes { try AgeHeader.read($0, isEnd: true) }
            #expect(again == header && again?.stanzas == stanzas)
            try header.check(fileKey)
        }
    }

    @Test("refuses stanzas that can't be written")
    func unwritable() {
        for arguments in [[], [""], ["a", ""], ["a b"], ["a\n"], ["\u{E9}"], ["a", "\u{7F}"], ["\0"]] {
            #expect(throws: AgeHeaderError(.arguments)) { try AgeStanza(arguments: arguments, body: []) }
        }
    }

    @Test("shows every change of a bit: it can't be read, or its MAC is another")
    func changes() throws {
        let fileKey = try AgeFileKey.random()
        let stanza = try AgeStanza(arguments: ["example.org/of-our-own", "1"], body: Array(0..<60))
        let encoded = try AgeHeader([stanza], fileKey: fileKey).encoded
        for bit in 0..<(encoded.count * 8) {
            var changed = encoded
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: AgeHeaderError.self, "bit \(bit)") {
                try #require(try changed.withUnsafeBytes { try AgeHeader.read($0, isEnd: true) }).check(fileKey)
            }
        }
        let header = try #require(try encoded.withUnsafeBytes { try AgeHeader.read($0) })
        #expect(throws: AgeHeaderError(.unauthentic)) { try header.check(.random()) }
    }
}
