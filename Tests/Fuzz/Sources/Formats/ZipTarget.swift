import Driver
import Glibc

@testable import Zip

/// Bytes that begin as an archive does are one; others are the members of one that is written.
@Sendable func fuzzZip(_ bytes: [UInt8]) {
    if bytes.starts(with: "PK".utf8) { readArchive(bytes) } else { writeArchive(bytes) }
}

private let path = scratch + "/archive.zip"
private let copy = scratch + "/copy.zip"

private func readArchive(_ bytes: [UInt8]) {
    let layout = try? ZipLayout(size: UInt64(bytes.count)) { offset, count in
        check(offset + UInt64(count) <= UInt64(bytes.count), "bytes beyond the archive are read")
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }
    write(bytes, to: path)
    readOrdinary(bytes)
    let reader: ZipReader
    do {
        reader = try ZipReader(path: path)
    } catch {
        check(layout == nil, "what keeps the layout is refused: \(error)")
        return
    }
    check(layout?.members == reader.members, "two readings of one archive differ")
    var contents: [String: [UInt8]] = [:]
    for member in reader.members {
        let content = try? reader.content(of: member.name, limit: bytes.count)
        check(content == nil || content?.count == Int(member.size))
        contents[member.name] = content
    }
    // Where every checksum is right, the archive is as good as one that was written from its members.
    guard contents.count == reader.members.count, !contents.isEmpty else { return }
    checkWriting(contents)
}

/// As any ordinary archive: no byte beyond it is read, no two members have one name, and what they hold is what they claim.
private func readOrdinary(_ bytes: [UInt8]) {
    let layout = try? OrdinaryLayout(size: UInt64(bytes.count)) { offset, count in
        check(offset + UInt64(count) <= UInt64(bytes.count), "bytes beyond the archive are read")
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }
    guard let reader = try? ZipReader(path: path, form: .ordinary) else { return }
    check(layout?.members.count == reader.members.count, "two readings of one archive differ")
    check(Set((layout?.members ?? []).map(\.bytes)).count == reader.members.count, "a name is there twice")
    let claimed = reader.members.reduce(UInt64(0)) { $0 + $1.size }
    check(claimed <= OrdinaryLayout.maximumContent, "members claim more than any may")
    for member in reader.members where member.size <= 1 << 20 {
        var count: UInt64 = 0
        let isWhole = (try? reader.read(member) { count += UInt64($0.count) }) != nil
        check(count <= member.size && (!isWhole || count == member.size), "another size than is claimed")
    }
}

private func writeArchive(_ bytes: [UInt8]) {
    var members: [String: [UInt8]] = [:]
    let parts = bytes.split(separator: 0, omittingEmptySubsequences: false)
    for (name, content) in zip(parts, parts.dropFirst()) {
        guard let name = text(Array(name)), ZipMember.isName(name.utf8) else { continue }
        members[name] = Array(content)
    }
    if !members.isEmpty { checkWriting(members) }
}

/// What is written is read again, and written again the same.
private func checkWriting(_ members: [String: [UInt8]]) {
    do {
        try ZipWriter.write(members.mapValues { .bytes($0) }, to: path)
        let reader = try ZipReader(path: path)
        check(Set(reader.members.map(\.name)) == Set(members.keys), "other members than were written")
        var read: [String: ZipContent] = [:]
        for (name, content) in members {
            let again = try reader.content(of: name, limit: content.count)
            check(again == content, "another content than was written")
            read[name] = .bytes(again)
        }
        try ZipWriter.write(read, to: copy)
        check(try contents(of: copy) == contents(of: path), "the same members give other bytes")
    } catch {
        fatalError("what was written is refused: \(error)")
    }
}

private func contents(of path: String) throws -> [UInt8] {
    let file = fopen(path, "r")
    defer { if let file { fclose(file) } }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    return bytes
}
