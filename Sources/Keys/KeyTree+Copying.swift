import LMDB

extension KeyTree {
    /// Writes a copy of a tree's rows, without the pages nothing uses, while a process may be changing the tree.
    ///
    /// - Parameters:
    ///   - directory: that of the tree.
    ///   - descriptor: an empty file to write to.
    /// - Returns: the bytes of `root.key` that open the copy, and the epoch of both; nil where the tree changed meanwhile,
    ///   and the copy is worth nothing.
    /// - Throws: `KeyRefusal`, `LMDBError`, `KeyFileError`.
    public static func copy(_ directory: String, to descriptor: Int32) throws -> (root: [UInt8], epoch: UInt64)? {
        let file = try RootKeyFile(directory: directory, access: .reading)
        let (environment, schema) = try KeySchema.open(directory, mapBytes: 1 << 20, access: .reading)
        let before = try environment.read { try schema.head($0) }
        let root = try file.bytes()
        do {
            try environment.copy(to: descriptor)
        } catch is CopyInterrupted {
            return nil
        }
        // New slots change the head and nothing of the keys there are; another root key does.
        guard try environment.read({ try schema.head($0) }).epoch == before.epoch, try file.bytes() == root,
            (try? inForce(file.slots(), before)) != nil
        else { return nil }
        return (root, before.epoch)
    }
}
