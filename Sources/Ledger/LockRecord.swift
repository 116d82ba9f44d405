import JSON
import LedgerFormat
import Merkle
import OpenSSL

/// What the lock remembers: the last checkpoint that was signed, by whom, and where lock and store lay.
struct LockRecord: Equatable {
    /// Where the two files lie that belong together.
    struct Places: Equatable, Sendable {
        let lock: FilePlace
        let store: FilePlace
    }

    static let slotBytes = 4_096
    private static let header = "evidenced checkpoint lock v2"
    /// The greatest number of a record: an integer of the format, as everything that is counted.
    static let lastSequence = UInt64(JSONValue.maximumInteger)
    /// Counts the writes of the lock.
    let sequence: UInt64
    let incarnation: Int64
    let vkey: String
    let places: Places
    /// The signed note.
    let note: String

    /// The sequence of the record that follows; nil where none can.
    var following: UInt64? { sequence < LockRecord.lastSequence ? sequence + 1 : nil }

    /// The checkpoint, which must be signed by a key.
    ///
    /// - Parameter vkey: the verification key in force; the record's own is for people.
    /// - Throws: `NoteError` where the note is malformed or not signed by it.
    func checkpoint(verifiedBy vkey: String) throws -> Checkpoint {
        let note = try SignedNote(parsing: Array(note.utf8))
        try note.verify([CheckpointVerifier(vkey: vkey)])
        return try Checkpoint(parsing: note.text)
    }

    /// The note and the checkpoint in it, read but not verified.
    func checkpoint() throws -> (SignedNote, Checkpoint) {
        let note = try SignedNote(parsing: Array(note.utf8))
        return (note, try Checkpoint(parsing: note.text))
    }

    /// The same record, of files that lie elsewhere.
    func moved(to places: Places) -> LockRecord {
        LockRecord(sequence: sequence, incarnation: incarnation, vkey: vkey, places: places, note: note)
    }

    /// The slot of 4,096 bytes that holds the record.
    var slot: [UInt8] {
        let text = """
            \(LockRecord.header)
            sequence \(sequence)
            incarnation \(incarnation)
            vkey \(vkey)
            lock \(places.lock.text)
            store \(places.store.text)

            \(note)
            """
        let contentBytes = LockRecord.slotBytes - 32
        var slot = Array(text.utf8)
        precondition(slot.count <= contentBytes, "a checkpoint of bounded origin fits a slot")
        slot.append(contentsOf: [UInt8](repeating: 0, count: contentBytes - slot.count))
        SHA256Hasher().hash(slot).append(to: &slot)
        return slot
    }

    /// The record of an intact slot: one that is written as `slot` writes it, with numbers of the format.
    init?(slot: [UInt8]) {
        let content = Array(slot.dropLast(32))
        guard SHA256Hasher().hash(content).bytes == Array(slot.suffix(32)),
            let text = String(validating: content.prefix { $0 != 0 }, as: UTF8.self)
        else { return nil }
        let lines = text.utf8.split(separator: 0x0A, maxSplits: 7, omittingEmptySubsequences: false).map(Substring.init)
        guard lines.count == 8, lines[0].utf8.elementsEqual(LockRecord.header.utf8), lines[6].utf8.isEmpty,
            let sequence = LockRecord.value(lines[1], "sequence").flatMap({ UInt64($0) }),
            sequence <= LockRecord.lastSequence,
            let incarnation = LockRecord.value(lines[2], "incarnation").flatMap({ Int64($0) }),
            1...JSONValue.maximumInteger ~= incarnation,
            let vkey = LockRecord.value(lines[3], "vkey"),
            let lock = LockRecord.value(lines[4], "lock").flatMap({ FilePlace(parsing: $0) }),
            let store = LockRecord.value(lines[5], "store").flatMap({ FilePlace(parsing: $0) })
        else { return nil }
        self.init(
            sequence: sequence,
            incarnation: incarnation,
            vkey: String(vkey),
            places: Places(lock: lock, store: store),
            note: String(lines[7])
        )
        guard self.slot == slot else { return nil }
    }

    init(sequence: UInt64, incarnation: Int64, vkey: String, places: Places, note: String) {
        self.sequence = sequence
        self.incarnation = incarnation
        self.vkey = vkey
        self.places = places
        self.note = note
    }

    /// Whether a slot that was being written when its writer ended may have these bytes: zero bytes, or the beginning of
    /// a record.
    static func mayBegin(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { $0 == 0 } || bytes.prefix(header.utf8.count).elementsEqual(header.utf8.prefix(bytes.count))
    }

    /// What follows a name and a space.
    private static func value(_ line: Substring, _ name: String) -> Substring? {
        guard line.utf8.starts(with: name.utf8), line.utf8.dropFirst(name.utf8.count).first == 0x20 else { return nil }
        return Substring(line.utf8.dropFirst(name.utf8.count + 1))
    }
}
