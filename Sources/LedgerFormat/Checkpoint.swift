import JSON
public import Merkle

/// A C2SP tlog-checkpoint (version 1.0.0): origin, tree size and root hash, a line each.
public struct Checkpoint: Equatable, Sendable {
    public let origin: String
    /// Entries in the tree.
    public let size: UInt64
    public let root: Digest

    public init(origin: String, size: UInt64, root: Digest) {
        self.origin = origin
        self.size = size
        self.root = root
    }

    /// Parses the text of a note: exactly three lines.
    public init(parsing text: String) throws(NoteError) {
        func refused(_ rule: String) -> NoteError { NoteError(.malformedCheckpoint, rule) }
        // By bytes: to a String, "\r\n" is one character, and a mark merges with what it stands behind.
        let bytes = text.utf8
        guard bytes.last == 0x0A else { throw refused("does not end in a line feed") }
        let lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard lines.count == 3 else { throw refused("has not three lines") }
        guard !lines[0].isEmpty else { throw refused("has an empty origin") }
        guard let size = UInt64(lines[1]), String(size).utf8.elementsEqual(lines[1].utf8) else {
            throw refused("has a tree size that is not a plain decimal number")
        }
        guard size > 0 else { throw refused("is of no entries") }
        guard let root = Digest(base64: lines[2]) else { throw refused("has a root that is not a base64 digest") }
        origin = lines[0]
        self.size = size
        self.root = root
    }

    public static func == (left: Checkpoint, right: Checkpoint) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    /// The text that is signed.
    public var text: String {
        "\(origin)\n\(size)\n\(root.base64)\n"
    }

    /// Refuses a checkpoint of more entries than a ledger can have: their number is an integer of the format, 2^53 - 1 at
    /// most. Proofs hold for any size, but who states it, or asks for it, must be able to write it.
    public func requireLedgerSize() throws(NoteError) {
        guard size <= UInt64(JSONValue.maximumInteger) else {
            throw NoteError(.malformedCheckpoint, "is of more entries than a ledger can have")
        }
    }

    /// Whether an origin is one this ledger uses: a key name of at most 200 bytes.
    public static func isOrigin(_ origin: String) -> Bool {
        SignedNote.isKeyName(origin) && origin.utf8.count <= FormatLimits.originBytes
    }
}
