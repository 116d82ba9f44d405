import Driver
import JSON
import LedgerFormat
import Merkle

@Sendable func fuzzJSON(_ bytes: [UInt8]) {
    do throws(JSONError) {
        let value = try JSONReader.parse(bytes)
        let canonical = value.canonicalBytes
        guard let again = try? JSONReader.parse(canonical) else { fatalError("the canonical form is not read") }
        check(again.canonicalBytes == canonical, "the canonical form has another one")
        check(again == value || canonical != bytes, "the canonical form is read as another value")
        check(refusalPassingOver(bytes) == nil, "what is read is not passed over")
        if let members = value.object { checkObjectText(bytes, members) }
    } catch {
        check(0...bytes.count ~= error.offset, "refused at a place beyond the text")
        check(refusalPassingOver(bytes) == error, "passing over is not as strict as reading")
        check((try? JSONObjectText(parsing: bytes)) == nil, "reading as text is not as strict as reading")
    }
}

/// Read as text, an object has the canonical form its tree has, and its members stand where it says.
private func checkObjectText(_ bytes: [UInt8], _ members: [JSONMember]) {
    guard let text = try? JSONObjectText(parsing: bytes) else { fatalError("an object is not read as text") }
    check(text.bytes == JSONValue.object(members).canonicalBytes, "an object has two canonical forms")
    let sorted = members.sorted { JSONWriter.precedes($0.name, $1.name) }
    check(text.members.count == sorted.count)
    for (member, expected) in zip(text.members, sorted) {
        check(text.bytes[member.value].elementsEqual(expected.value.canonicalBytes), "a value stands elsewhere")
        check(text.name(of: member).utf8.elementsEqual(expected.name.utf8), "a name stands elsewhere")
    }
}

private func refusalPassingOver(_ bytes: [UInt8]) -> JSONError? {
    var reader = JSONReader(bytes)
    do throws(JSONError) {
        _ = try reader.skip()
        try reader.finish()
        return nil
    } catch {
        return error
    }
}

@Sendable func fuzzEncodings(_ bytes: [UInt8]) {
    check(Base64.decode(Base64.encode(bytes)) == bytes)
    check(Hex.decode(Hex.encode(bytes)) == bytes)
    guard let text = text(bytes) else { return }
    if let decoded = Base64.decode(text) { check(isSame(Base64.encode(decoded), bytes), "two spellings") }
    if let decoded = Hex.decode(text) { check(isSame(Hex.encode(decoded), bytes), "two spellings") }
    if let digest = Digest(hex: text) { check(isSame(digest.hex, bytes), "two spellings") }
    if let digest = Digest(base64: text) { check(isSame(digest.base64, bytes), "two spellings") }
}

@Sendable func fuzzNames(_ bytes: [UInt8]) {
    guard let text = text(bytes) else { return }
    if let id = ID128(text) { check(isSame(id.description, bytes), "an id has two spellings") }
    if let stream = StreamID(text) { check(isSame(stream.description, bytes), "a stream has two spellings") }
    if let actor = Actor(text) { check(isSame(actor.description, bytes), "an actor has two spellings") }
    if let key = RequestKey(text) { check(isSame(key.description, bytes), "a key has two spellings") }
    if let time = LedgerTime(text) {
        check(isSame(time.description, bytes), "a time has two spellings")
        check(LedgerTime(microseconds: time.microseconds) == time && time <= .maximum)
    }
    if SubmitterName.isValid(text) { check(bytes.allSatisfy { 0x2D...0x7A ~= $0 } && bytes.count <= 64) }
    // An origin is put on lines and between blanks and plus signs.
    if Checkpoint.isOrigin(text) { check(bytes.allSatisfy { $0 > 0x20 && $0 != 0x2B } && bytes.count <= 200) }
    _ = EventCatalogue.type(named: text)
}

@Sendable func fuzzTile(_ bytes: [UInt8]) {
    // The first eight bytes are the size of a tree.
    guard bytes.count > 8, let text = text(Array(bytes.dropFirst(8))), let tile = Tile(path: text) else { return }
    let size = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    check(isSame(tile.path, Array(bytes.dropFirst(8))), "a tile has two paths")
    check(1...Tile.fullWidth ~= tile.width)
    guard tile.exists(inTreeOf: size), case .hashes = tile.kind else { return }
    check(tile.nodes.count == tile.width && tile.nodes.allSatisfy { $0.completedBy < size })
}
