import LMDB
public import LedgerFormat
public import Merkle
import OpenSSL

/// An inclusion proof at some tree size.
public struct InclusionAnswer: Sendable {
    public let index: UInt64
    public let size: UInt64
    public let leaf: Digest
    public let root: Digest
    public let path: [Digest]
    /// The complete tlog-proof, where a checkpoint was signed at exactly this size.
    public let proof: TlogProof?
}

/// A consistency proof between two tree sizes.
public struct ConsistencyAnswer: Sendable {
    public let first: UInt64
    public let second: UInt64
    public let firstRoot: Digest
    public let secondRoot: Digest
    public let path: [Digest]
    /// The signed note at the second size, where there is one.
    public let note: String?
}

/// A signed checkpoint, and the key that signed it.
public struct KeyedCheckpoint: Sendable {
    public let checkpoint: Checkpoint
    /// The C2SP signed note, as text.
    public let note: String
    /// The verification key of its incarnation, C2SP signed-note form.
    public let vkey: String
}

extension Ledger {
    /// The signed checkpoint of the smallest size that is not below `size`: what was signed when entry `size` − 1 was
    /// recorded. The newest where no size is given.
    ///
    /// - Throws: `LedgerError.notFound` beyond the newest checkpoint.
    public func checkpoint(covering size: UInt64?) throws -> KeyedCheckpoint {
        let signed = checkpoint
        let newest = KeyedCheckpoint(checkpoint: signed.checkpoint, note: signed.note, vkey: vkey)
        guard let size else { return newest }
        guard size <= signed.size else {
            throw LedgerError.notFound(what: "checkpoint that covers \(size) entries")
        }
        let older = try environment.read { transaction -> SignedNote? in
            let row = try transaction.cursor(schema.checkpoints) { try $0.seek(StoreKey.number(size)) }
            guard let found = row.flatMap({ StoreKey.readNumber($0.key) }), found < signed.size else { return nil }
            return try schema.note(transaction, size: found, root: try schema.root(transaction, size: found))
        }
        guard let older else { return newest }
        let checkpoint = try Checkpoint(parsing: older.text)
        return KeyedCheckpoint(
            checkpoint: checkpoint,
            note: older.encoded,
            vkey: try history.identity(atSize: checkpoint.size).vkey
        )
    }

    /// Proves that entry `index` is in the tree of `size` entries, by default the newest checkpoint's. The proof is
    /// verified before it is given out.
    public func proveInclusion(of index: UInt64, size: UInt64? = nil) throws -> InclusionAnswer {
        let size = try checkedSize(size)
        guard index < size else {
            throw LedgerError.invalidArgument(field: "index", rule: "must be below the tree size \(size)")
        }
        return try environment.read { transaction in
            var hasher = SHA256Hasher()
            let (leaf, path) = try nodes.reading(transaction, schema) { fetch in
                (
                    try fetch(NodeID(level: 0, index: index)),
                    try ProofBuilder.inclusion(index: index, size: size, hasher: &hasher, fetch: fetch)
                )
            }
            let root = try root(transaction, size: size)
            try Ledger.checkProof(at: index) { () throws(ProofError) in
                try ProofVerifier.inclusion(
                    leaf: leaf,
                    index: index,
                    size: size,
                    path: path,
                    root: root,
                    hasher: &hasher
                )
            }
            let note = try note(transaction, size: size, root: root)
            return InclusionAnswer(
                index: index,
                size: size,
                leaf: leaf,
                root: root,
                path: path,
                proof: note.map { TlogProof(index: index, path: path, note: $0) }
            )
        }
    }

    /// The complete tlog-proofs of receipts against the checkpoint they came with, each verified before it is given out.
    ///
    /// - Throws: `StoreDamage` where one doesn't hold.
    public func proofs(of indexes: [UInt64], in checkpoint: SignedCheckpoint) throws -> [TlogProof] {
        try environment.read { transaction in
            var hasher = SHA256Hasher()
            return try nodes.reading(transaction, schema) { fetch in
                try indexes.map { index in
                    let path = try ProofBuilder.inclusion(
                        index: index,
                        size: checkpoint.size,
                        hasher: &hasher,
                        fetch: fetch
                    )
                    let leaf = try fetch(NodeID(level: 0, index: index))
                    try Ledger.checkProof(at: index) { () throws(ProofError) in
                        try ProofVerifier.inclusion(
                            leaf: leaf,
                            index: index,
                            size: checkpoint.size,
                            path: path,
                            root: checkpoint.root,
                            hasher: &hasher
                        )
                    }
                    return TlogProof(index: index, path: path, note: checkpoint.note)
                }
            }
        }
    }

    /// Proves that the tree of `first` entries is a prefix of the tree of `second`.
    public func proveConsistency(first: UInt64, second: UInt64? = nil) throws -> ConsistencyAnswer {
        let second = try checkedSize(second)
        guard 1...second ~= first else {
            throw LedgerError.invalidArgument(field: "first", rule: "must be from 1 to the second size, \(second)")
        }
        return try environment.read { transaction in
            var hasher = SHA256Hasher()
            let path = try nodes.reading(transaction, schema) { fetch in
                try ProofBuilder.consistency(first: first, second: second, hasher: &hasher, fetch: fetch)
            }
            let roots = (try schema.root(transaction, size: first), try schema.root(transaction, size: second))
            try Ledger.checkProof(at: nil) { () throws(ProofError) in
                try ProofVerifier.consistency(
                    first: first,
                    second: second,
                    firstRoot: roots.0,
                    secondRoot: roots.1,
                    path: path,
                    hasher: &hasher
                )
            }
            return ConsistencyAnswer(
                first: first,
                second: second,
                firstRoot: roots.0,
                secondRoot: roots.1,
                path: path,
                note: try note(transaction, size: second, root: roots.1)
            )
        }
    }

    /// The bytes of a tile of the newest tree (C2SP tlog-tiles), or nil where the tree has no such tile.
    public func tile(_ tile: Tile) throws -> [UInt8]? {
        guard tile.exists(inTreeOf: checkpoint.size) else { return nil }
        return try environment.read { transaction in
            var bytes: [UInt8] = []
            if tile.kind == .entries {
                for index in (tile.index << 8)..<(tile.index << 8 + UInt64(tile.width)) {
                    let entry = try schema.entry(transaction, index)
                    bytes.append(UInt8(entry.count >> 8))
                    bytes.append(UInt8(entry.count & 255))
                    bytes += entry
                }
            } else {
                for node in tile.nodes { try schema.node(transaction, node).append(to: &bytes) }
            }
            return bytes
        }
    }

    /// A proof made from the store that does not hold is the store's damage, not the caller's mistake.
    private static func checkProof(at index: UInt64?, _ verify: () throws(ProofError) -> Void) throws(StoreDamage) {
        do throws(ProofError) {
            try verify()
        } catch {
            throw StoreDamage(index, "the tree gives a proof that does not hold: \(error.rawValue)")
        }
    }

    private func checkedSize(_ size: UInt64?) throws -> UInt64 {
        let newest = checkpoint.size
        let size = size ?? newest
        guard 1...newest ~= size else {
            throw LedgerError.invalidArgument(field: "size", rule: "must be from 1 to the newest size, \(newest)")
        }
        return size
    }

    /// The root at a size: known for the newest checkpoint, computed for others.
    private func root(_ transaction: borrowing ReadTransaction, size: UInt64) throws -> Digest {
        let newest = checkpoint
        return newest.size == size ? newest.root : try schema.root(transaction, size: size)
    }

    /// The signed note at a size: the newest, or one rebuilt from its stored signature.
    private func note(_ transaction: borrowing ReadTransaction, size: UInt64, root: Digest) throws -> String? {
        let newest = checkpoint
        if newest.size == size { return newest.note }
        return try schema.note(transaction, size: size, root: root)?.encoded
    }
}
