import LMDB
import LedgerFormat
import Merkle

/// What the store keeps of a signed checkpoint (`ledger-format.md` section 9, `checkpoints`): its signature, and which
/// checkpoint was kept before it, so that a row that is gone shows.
struct CheckpointRow {
    /// Size of the checkpoint of the row before; 0 in the first one.
    let before: UInt64
    let signature: SignedNote.Signature

    private static let signatureBytes = 64

    /// - Parameter signature: of 64 bytes, named by the checkpoint's origin.
    init(before: UInt64, signature: SignedNote.Signature) {
        precondition(signature.signature.count == CheckpointRow.signatureBytes, "it is an Ed25519 signature")
        self.before = before
        self.signature = signature
    }

    /// Reads the value of a row; nil where it is malformed.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > 8, let before = StoreKey.readNumber(bytes[..<8]) else { return nil }
        let rest = bytes[8...]
        guard let end = rest.firstIndex(of: 0x0A), rest.endIndex == end + 1 + 4 + CheckpointRow.signatureBytes,
            let origin = String(validating: rest[..<end], as: UTF8.self)
        else { return nil }
        self.before = before
        signature = SignedNote.Signature(
            name: origin,
            keyID: rest[(end + 1)...].prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
            signature: Array(rest.suffix(CheckpointRow.signatureBytes))
        )
    }

    var encoded: [UInt8] {
        StoreKey.number(before) + Array(signature.name.utf8) + [0x0A]
            + withUnsafeBytes(of: signature.keyID.bigEndian) { [UInt8]($0) } + signature.signature
    }

    /// The signed note over a root.
    func note(size: UInt64, root: Digest) -> SignedNote {
        SignedNote(text: Checkpoint(origin: signature.name, size: size, root: root).text, signatures: [signature])
    }
}

extension StoreSchema {
    /// In `meta`: the size of the newest row of `checkpoints`.
    static let newestCheckpointKey = Array("checkpoint".utf8)

    /// The size of the newest row, as the store says; 0 where none was kept yet, nil where the store does not say it.
    func newestCheckpoint(_ transaction: borrowing some Readable & ~Copyable) throws -> UInt64? {
        try transaction.get(meta, StoreSchema.newestCheckpointKey).flatMap { StoreKey.readNumber($0) }
    }

    /// The size of the newest row, which must be there and be the last; 0 where none was kept yet.
    func keptCheckpoint(_ transaction: borrowing some Readable & ~Copyable) throws -> UInt64 {
        guard let newest = try newestCheckpoint(transaction) else {
            throw StoreDamage(nil, "the store does not say which checkpoint it kept last")
        }
        let last = try transaction.cursor(checkpoints) { try $0.last() }
        guard try last.map({ try readSize($0.key) }) ?? 0 == newest else {
            throw StoreDamage(nil, "the checkpoint of size \(newest), kept last, is not the last that is there")
        }
        return newest
    }

    private func readSize(_ key: [UInt8]) throws -> UInt64 {
        guard let size = StoreKey.readNumber(key) else {
            throw StoreDamage(nil, "a checkpoint's key is malformed")
        }
        return size
    }

    /// The row of the checkpoint at `size`; nil where none is kept.
    func checkpointRow(_ transaction: borrowing some Readable & ~Copyable, size: UInt64) throws -> CheckpointRow? {
        guard let bytes = try transaction.get(checkpoints, StoreKey.number(size)) else { return nil }
        guard let row = CheckpointRow(bytes) else {
            throw StoreDamage(nil, "the checkpoint row of size \(size) is malformed")
        }
        return row
    }

    /// The signed note of the checkpoint at `size`, rebuilt over `root`; nil where none was signed there.
    func note(_ transaction: borrowing some Readable & ~Copyable, size: UInt64, root: Digest) throws -> SignedNote? {
        try checkpointRow(transaction, size: size)?.note(size: size, root: root)
    }

    /// Keeps the signature of the checkpoint at `size`, so that proofs at its size stay complete. Does nothing where it
    /// is the newest one kept.
    ///
    /// - Throws: `StoreDamage` where the store has a newer one, or does not say which is the newest.
    func keep(
        _ signature: SignedNote.Signature,
        size: UInt64,
        _ transaction: borrowing WriteTransaction
    ) throws {
        guard let newest = try newestCheckpoint(transaction), newest <= size else {
            throw StoreDamage(
                nil,
                "the store does not say which checkpoint it kept last, or says a later one than is signed"
            )
        }
        guard newest < size else { return }
        let row = CheckpointRow(before: newest, signature: signature)
        try transaction.append(checkpoints, number: size, row.encoded.span)
        try transaction.set(meta, StoreSchema.newestCheckpointKey, StoreKey.number(size))
    }
}
