import Foundation
import Testing
import Zip

@Suite("Hostile archives")
struct HostileArchiveTests {
    /// An archive built field by field, so that every field can lie.
    private struct Forgery {
        struct Member {
            var name: [UInt8]
            var content: [UInt8]
            var localName: [UInt8]?
            var flags: UInt16 = 0
            var method: UInt16 = 0
            var time: UInt16 = 0
            var date: UInt16 = 0x21
            var size: UInt32?
            var localSize: UInt32?
            var crc: UInt32?
            var localCRC: UInt32?
            var offset: UInt32?
            var extra: [UInt8] = []
            var localExtra: [UInt8] = []
            var comment: [UInt8] = []
            var attributes: UInt32 = 0o100644 << 16
            var madeBy: UInt16 = 0x033F
            var part: UInt16 = 0
        }

        var members: [Member]
        var prefix: [UInt8] = []
        var gap: [UInt8] = []
        var suffix: [UInt8] = []
        var comment: [UInt8] = []
        var count: UInt16?
        var part: UInt16 = 0
        var directorySize: UInt32?
        var directoryOffset: UInt32?

        init(_ names: String...) {
            members = names.map { Member(name: Array($0.utf8), content: Array("content of \($0)".utf8)) }
        }

        var bytes: [UInt8] {
            var bytes = prefix
            var central: [UInt8] = []
            for member in members {
                let offset = UInt32(bytes.count)
                let size = UInt32(member.content.count)
                let crc = member.crc ?? Forgery.crc32(member.content)
                func common(_ size: UInt32, _ crc: UInt32) -> [UInt8] {
                    le16(10) + le16(member.flags) + le16(member.method) + le16(member.time) + le16(member.date)
                        + le32(crc) + le32(size) + le32(size)
                }
                let localName = member.localName ?? member.name
                bytes += le32(0x0403_4B50) + common(member.localSize ?? member.size ?? size, member.localCRC ?? crc)
                bytes += le16(UInt16(localName.count)) + le16(UInt16(member.localExtra.count))
                bytes += localName + member.localExtra + member.content
                central += le32(0x0201_4B50) + le16(member.madeBy) + common(member.size ?? size, crc)
                central += le16(UInt16(member.name.count)) + le16(UInt16(member.extra.count))
                central += le16(UInt16(member.comment.count)) + le16(member.part) + le16(0) + le32(member.attributes)
                central += le32(member.offset ?? offset) + member.name + member.extra + member.comment
            }
            bytes += gap
            let offset = UInt32(bytes.count)
            bytes += central + le32(0x0605_4B50) + le16(part) + le16(0)
            bytes += le16(count ?? UInt16(members.count)) + le16(count ?? UInt16(members.count))
            bytes += le32(directorySize ?? UInt32(central.count)) + le32(directoryOffset ?? offset)
            return bytes + le16(UInt16(comment.count)) + comment + suffix
        }

        private func le16(_ value: UInt16) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) } }
        private func le32(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) } }

        private static func crc32(_ bytes: [UInt8]) -> UInt32 {
            var crc: UInt32 = 0xFFFF_FFFF
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
            }
            return ~crc
        }
    }

    private func rule(_ bytes: [UInt8]) throws -> ZipError.Rule? {
        let file = try ScratchFile()
        try file.write(bytes)
        do {
            let reader = try ZipReader(path: file.path)
            for member in reader.members { try reader.read(member) { _ in } }
            return nil
        } catch {
            return try #require(error as? ZipError).rule
        }
    }

    private func rule(_ names: String..., change: (inout Forgery) -> Void) throws -> ZipError.Rule? {
        var forgery = names.isEmpty ? Forgery("a", "b") : Forgery(names[0], names[names.count - 1])
        change(&forgery)
        return try rule(forgery.bytes)
    }

    @Test("built as they must be are read")
    func good() throws {
        #expect(try rule { _ in } == nil)
        #expect(try rule(Forgery().bytes) == nil)
    }

    @Test("are refused for each field that says something else")
    func fields() throws {
        #expect(try rule { $0.members[1].method = 8 } == .compressed)
        #expect(try rule { $0.members[1].flags = 1 } == .encrypted)
        #expect(try rule { $0.members[1].flags = 8 } == .flags)
        #expect(try rule { $0.members[1].time = 1 } == .time)
        #expect(try rule { $0.members[1].date = 0x22 } == .time)
        #expect(try rule { $0.members[1].attributes = 0o100755 << 16 } == .mode)
        #expect(try rule { $0.members[1].attributes = 0o120644 << 16 } == .mode)
        #expect(try rule { $0.members[1].attributes |= 0x10 } == .mode)
        #expect(try rule { $0.members[1].madeBy = 0x003F } == .mode)
        #expect(try rule { $0.members[1].comment = [0x78] } == .comment)
        #expect(try rule { $0.members[1].extra = [1, 0, 0, 0] } == .extraFields)
        #expect(try rule { $0.members[1].localExtra = [1, 0, 0, 0] } == .localHeader)
        #expect(try rule { $0.members[1].part = 1 } == .severalParts)
        #expect(try rule { $0.members[1].localName = [0x63] } == .localHeader)
        #expect(try rule { $0.members[1].localCRC = 7 } == .localHeader)
        #expect(try rule { $0.members[1].crc = 7 } == .checksum)
        #expect(try rule { $0.members[0].localSize = 3 } == .localHeader)
    }

    @Test("are refused for names that are not allowed, twice there or out of order")
    func names() throws {
        for name in ["/a", "a/", "../a", "a\0", "ä", "a\\b", "", "C:a", String(repeating: "n", count: 101)] {
            #expect(try rule { $0.members[0] = .init(name: Array(name.utf8), content: []) } == .name, "\(name)")
        }
        #expect(try rule("a", "a") { _ in } == .duplicate)
        #expect(try rule("b", "a") { _ in } == .order)
        #expect(try rule("a", "B") { _ in } == .order)
    }

    @Test("are refused where sizes and places don't add up: bombs, overlaps, gaps")
    func places() throws {
        #expect(try rule { $0.members[1].size = 0xFFFF_FFF0 } == .size)
        #expect(try rule { $0.members[1].size = 200 } == .size)
        #expect(try rule { $0.members[0].size = 3 } == .place)
        #expect(try rule { $0.members[1].offset = 0 } == .place)
        #expect(try rule { $0.members[0].offset = 5 } == .place)
        #expect(try rule { $0.gap = [0] } == .endRecord)
        #expect(try rule { $0.prefix = Array("#!/bin/sh\n".utf8) } == .place)
        #expect(try rule { $0.suffix = [0] } == .trailingBytes)
        #expect(try rule { $0.comment = Array("hello".utf8) } == .trailingBytes)
        #expect(try rule { $0.count = 1 } == .endRecord)
        #expect(try rule { $0.count = 3 } == .endRecord)
        #expect(try rule { $0.count = 0xFFFF } == .tooLarge)
        #expect(try rule { $0.part = 1 } == .severalParts)
        #expect(try rule { $0.directorySize = 0 } == .endRecord)
        #expect(try rule { $0.directoryOffset = 0xFFFF_FFFF } == .endRecord)
        #expect(try rule { $0.directoryOffset = 0 } == .endRecord)
    }

    @Test("that are none at all are refused")
    func nothing() throws {
        #expect(try rule([]) == .notAnArchive)
        #expect(try rule(Array("PK".utf8)) == .notAnArchive)
        #expect(try rule([UInt8](repeating: 0, count: 100_000)) == .notAnArchive)
        #expect(try rule(Array("PK\u{5}\u{6}".utf8) + [UInt8](repeating: 0, count: 17)) == .notAnArchive)
    }

    @Test("shortened anywhere are refused")
    func shortened() throws {
        let bytes = Forgery("a", "b").bytes
        for count in bytes.indices { #expect(try rule(Array(bytes.prefix(count))) != nil, "\(count) bytes") }
    }

    @Test("with any bit turned never trap, and are refused but for what no reader of ZIP files looks at")
    func everyBit() throws {
        let bytes = Forgery("a", "b").bytes
        var accepted = 0
        for position in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[position] ^= 1 << UInt8(bit)
                if try rule(changed) == nil { accepted += 1 }
            }
        }
        // The version that made the member (8 bits), and whether it is held to be text (1), for two members.
        #expect(accepted == 18)
    }
}
