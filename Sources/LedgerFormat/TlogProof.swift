public import Merkle

/// A C2SP tlog-proof: an entry's index and audit path together with a signed checkpoint.
public struct TlogProof: Equatable, Sendable {
    public static let header = "c2sp.org/tlog-proof@v1"
    public static let maximumHashes = 63

    public let index: UInt64
    /// The leaf's sibling first.
    public let path: [Digest]
    /// Unauthenticated data of the `extra` line; this ledger writes none.
    public let extra: [UInt8]?
    /// The signed note, verbatim.
    public let note: String

    public init(index: UInt64, path: [Digest], note: String) {
        self.index = index
        self.path = path
        self.note = note
        extra = nil
    }

    /// Parses the text of a proof, the note inside included only as text.
    public init(parsing text: String) throws(NoteError) {
        func refused(_ rule: String) -> NoteError { NoteError(.malformedProof, rule) }
        // By bytes: to a String, "\r\n" is one character, and a mark merges with what it stands behind.
        let bytes = text.utf8
        guard let end = bytes.firstRange(of: [0x0A, 0x0A]) else {
            throw refused("has no empty line before the checkpoint")
        }
        var lines = bytes[..<end.lowerBound].split(separator: 0x0A, omittingEmptySubsequences: false)[...]
        guard lines.popFirst()?.elementsEqual(TlogProof.header.utf8) == true else {
            throw refused("does not begin with \(TlogProof.header)")
        }
        if let line = lines.first, line.starts(with: "extra ".utf8) {
            guard let bytes = Base64.decode(Substring(line.dropFirst(6))) else {
                throw refused("has a malformed extra line")
            }
            extra = bytes
            lines.removeFirst()
        } else {
            extra = nil
        }
        guard let line = lines.popFirst(), let index = UInt64(Substring(line.dropFirst(6))),
            line.elementsEqual("index \(index)".utf8)
        else { throw refused("has no index line with a plain decimal number") }
        guard lines.count <= TlogProof.maximumHashes else { throw refused("has more than 63 hashes") }
        var path: [Digest] = []
        for line in lines {
            guard let digest = Digest(base64: Substring(line)) else {
                throw refused("has a hash that is not a base64 digest")
            }
            path.append(digest)
        }
        self.index = index
        self.path = path
        note = String(Substring(bytes[end.upperBound...]))
    }

    /// The text.
    public var encoded: String { String(decoding: bytes, as: UTF8.self) }

    /// The text as UTF-8.
    public var bytes: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(64 + path.count * 45 + note.utf8.count)
        text.append(contentsOf: "\(TlogProof.header)\n".utf8)
        if let extra { text.append(contentsOf: "extra \(Base64.encode(extra))\n".utf8) }
        text.append(contentsOf: "index \(index)\n".utf8)
        for digest in path {
            digest.appendBase64(to: &text)
            text.append(0x0A)
        }
        text.append(0x0A)
        text.append(contentsOf: note.utf8)
        return text
    }

    /// Checks signature, origin and inclusion of a leaf, and gives the checkpoint it is proven in.
    public func verify(
        leaf: Digest,
        origin: String,
        verifiers: [any NoteVerifier],
        hasher: inout some TreeHasher
    ) throws -> Checkpoint {
        let signed = try SignedNote(parsing: Array(note.utf8))
        try signed.verify(verifiers)
        let checkpoint = try Checkpoint(parsing: signed.text)
        guard checkpoint.origin.utf8.elementsEqual(origin.utf8) else {
            throw NoteError(.malformedCheckpoint, "its origin is \(checkpoint.origin), not \(origin)")
        }
        try ProofVerifier.inclusion(
            leaf: leaf,
            index: index,
            size: checkpoint.size,
            path: path,
            root: checkpoint.root,
            hasher: &hasher
        )
        return checkpoint
    }
}
