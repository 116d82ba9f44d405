import Glibc
import LedgerFormat
import Merkle
import OpenSSL

/// What the lock remembers: the last checkpoint that was signed, by whom.
struct LockRecord: Equatable {
    /// Counts the writes of the lock.
    let sequence: UInt64
    let incarnation: Int64
    let vkey: String
    /// The signed note.
    let note: String

    /// The note and the checkpoint in it, read but not verified.
    func checkpoint() throws -> (SignedNote, Checkpoint) {
        let note = try SignedNote(parsing: Array(note.utf8))
        return (note, try Checkpoint(parsing: note.text))
    }
}

/// A small preallocated file that remembers the last signed checkpoint (`ledger-format.md` section 8).
///
/// It has two slots of 4,096 bytes. A write goes to the slot that does not hold the newest record and is synced, so
/// a torn write leaves the record before it. The file is locked (flock) while a daemon runs.
final class CheckpointLock {
    private static let slotBytes = 4_096
    private static let header = "evidenced checkpoint lock v1"
    private let descriptor: Int32
    private let path: String
    /// The newest record, as this process read or wrote it last.
    private(set) var record: LockRecord
    /// The whole file, as this process read or wrote it last.
    private var bytes: [UInt8]

    /// Creates the file with its first record; one that exists is refused.
    static func create(path: String, record: LockRecord) throws {
        let slot = encode(record)
        var bytes = [UInt8](repeating: 0, count: 2 * slotBytes)
        bytes.replaceSubrange(offset(of: record.sequence)..<offset(of: record.sequence) + slotBytes, with: slot)
        try FileSystem.create(path, bytes, mode: 0o600)
    }

    /// Where the record of a sequence stands, so that the next one never takes its place.
    private static func offset(of sequence: UInt64) -> Int { Int(sequence % 2) * slotBytes }

    /// Opens and locks the file.
    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT {
            throw StartupRefusal(
                .lockMissing,
                "the checkpoint lock \(path) is missing",
                advice: """
                    Without it nobody can tell whether this store is the newest. If it was only moved, put it back. If \
                    it is lost, or the store comes from a backup, run 'evidence recover', which starts a new \
                    incarnation that is visible in the log
                    """
            )
        }
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK {
                throw StartupRefusal(
                    .inUse,
                    "the checkpoint lock \(path) is held by another process",
                    advice: "Only one daemon may run on a ledger. Stop the other one first"
                )
            }
            throw SystemError("locking \(path)", errno: code)
        }
        do {
            bytes = try CheckpointLock.content(descriptor, path)
            guard let record = CheckpointLock.newest(bytes) else {
                throw StartupRefusal(
                    .lockDamaged,
                    "the checkpoint lock \(path) holds no intact record",
                    advice: "Run 'evidence audit' and then 'evidence recover', which starts a new incarnation"
                )
            }
            self.record = record
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// The newest intact record, read beside whoever holds the lock; nil where there is none.
    static func peek(_ path: String) throws -> LockRecord? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("opening \(path)") }
        defer { close(descriptor) }
        return newest(try content(descriptor, path))
    }

    /// A record as it stands in the file.
    struct Slot: Sendable {
        let record: LockRecord
        let bytes: [UInt8]

        init(_ record: LockRecord) {
            self.record = record
            bytes = CheckpointLock.encode(record)
        }
    }

    /// Replaces the record if the file still holds the one this process knows, and syncs.
    ///
    /// - Parameter slot: of the record that follows `record` in sequence.
    /// - Throws: `LockConflict` where the file holds another record; any error leaves the process unfit to sign.
    func compareAndSwap(_ slot: Slot) throws {
        precondition(slot.record.sequence == record.sequence + 1, "records follow one another")
        // Any other byte means another writer, so the slots need not be understood again.
        guard try CheckpointLock.content(descriptor, path) == bytes else {
            throw LockConflict(path: path)
        }
        let offset = CheckpointLock.offset(of: slot.record.sequence)
        try FileSystem.write(slot.bytes, to: descriptor, at: offset, name: path)
        guard fdatasync(descriptor) == 0 else { throw SystemError("syncing \(path)") }
        record = slot.record
        bytes.replaceSubrange(offset..<offset + CheckpointLock.slotBytes, with: slot.bytes)
    }

    /// The file's bytes; one too many where it is longer than a lock is.
    private static func content(_ descriptor: Int32, _ path: String) throws -> [UInt8] {
        try FileSystem.read(descriptor, at: 0, count: 2 * slotBytes + 1, name: path)
    }

    static func newest(_ bytes: [UInt8]) -> LockRecord? {
        guard bytes.count == 2 * slotBytes else { return nil }
        let slots = [bytes[..<slotBytes], bytes[slotBytes...]].compactMap { decode(Array($0)) }
        return slots.max { $0.sequence < $1.sequence }
    }

    static func encode(_ record: LockRecord) -> [UInt8] {
        let text = """
            \(header)
            sequence \(record.sequence)
            incarnation \(record.incarnation)
            vkey \(record.vkey)

            \(record.note)
            """
        var slot = Array(text.utf8)
        precondition(slot.count <= slotBytes - 32, "a checkpoint of bounded origin fits a slot")
        slot.append(contentsOf: [UInt8](repeating: 0, count: slotBytes - 32 - slot.count))
        SHA256Hasher().hash(slot).append(to: &slot)
        return slot
    }

    /// The record of an intact slot: one that is written as `encode` writes it, and that another can follow.
    static func decode(_ slot: [UInt8]) -> LockRecord? {
        let content = Array(slot.dropLast(32))
        guard SHA256Hasher().hash(content).bytes == Array(slot.suffix(32)),
            let text = String(validating: content.prefix { $0 != 0 }, as: UTF8.self)
        else { return nil }
        let lines = text.split(separator: "\n", maxSplits: 5, omittingEmptySubsequences: false)
        guard lines.count == 6, lines[0] == header, lines[1].hasPrefix("sequence "),
            let sequence = UInt64(lines[1].dropFirst(9)), lines[2].hasPrefix("incarnation "),
            let incarnation = Int64(lines[2].dropFirst(12)), lines[3].hasPrefix("vkey "), lines[4].isEmpty
        else { return nil }
        let record = LockRecord(
            sequence: sequence,
            incarnation: incarnation,
            vkey: String(lines[3].dropFirst(5)),
            note: String(lines[5])
        )
        return sequence < .max && encode(record) == slot ? record : nil
    }
}

/// The lock file changed under a running daemon: someone else signed. This process must stop.
struct LockConflict: Error, CustomStringConvertible {
    let path: String

    var description: String { "the checkpoint lock \(path) was changed by someone else" }
}
